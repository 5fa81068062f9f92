/* schema.c - one function a type, three ways: from text, to text, and what it takes in words. */
#include "conf/schema.h"

#include "base/blocks.h"
#include "base/check.h"
#include "base/mem.h"
#include "http/template.h"

#include <stdlib.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: schema_format takes the first that divides. */
static const struct unit size_units[] = {{"t", (int64_t)1 << 40},
                                         {"g", (int64_t)1 << 30},
                                         {"m", (int64_t)1 << 20},
                                         {"k", (int64_t)1 << 10},
                                         {"", 1},
                                         {NULL, 0}};
static const struct unit time_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                         {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static void *member(const cs_directive *d, void *base)
{
    return (char *)base + d->off;
}

static int64_t number_at(const cs_directive *d, const void *base)
{
    int64_t v;

    memcpy(&v, (const char *)base + d->off, sizeof v);
    return v;
}

static cs_str str_at(const cs_directive *d, const void *base)
{
    cs_str v;

    memcpy(&v, (const char *)base + d->off, sizeof v);
    return v;
}

static const void *pointer_at(const cs_directive *d, const void *base)
{
    const void *v;

    memcpy(&v, (const char *)base + d->off, sizeof v);
    return v;
}

static bool has_range(const cs_directive *d)
{
    return d->min != 0 || d->max != 0;
}

const struct conf_kind *schema_kind(cs_str name)
{
    for (const struct conf_kind *k = conf_kinds; k->name; k++)
        if (str_is(name, k->name))
            return k;
    return NULL;
}

const cs_directive *schema_find(const cs_directive *table, cs_str name)
{
    for (const cs_directive *d = table; d && d->type != CS_T_END; d++)
        if (str_is(name, d->name))
            return d;
    return NULL;
}

/* ---- To text ---- */

static void format_number(int64_t v, const struct unit *units, struct buf *out)
{
    const struct unit *u = units;

    while (u[1].name && v % u->factor != 0)
        u++;
    if (v == 0)
        buf_add_char(out, '0');
    else
        buf_printf(out, "%lld%s", (long long)(v / u->factor), u->name);
}

static const struct unit *units_of(const cs_directive *d)
{
    return d->type == CS_T_SIZE ? size_units : d->type == CS_T_MSEC ? time_units : no_units;
}

static void format_int(const cs_directive *d, int64_t v, struct buf *out)
{
    if (d->flags & CONF_OUTER && v < 0)
        return;
    if (d->type == CS_T_INT && d->aux && v == 0)
        buf_add_z(out, d->aux);
    else if (d->flags & CONF_OCTAL)
        buf_printf(out, "0%llo", (unsigned long long)v);
    else
        format_number(v, units_of(d), out);
}

/* An element that would not come back as it is goes in quotes. */
static void format_element(cs_str e, struct buf *out)
{
    cs_str trimmed = str_trim(e);

    if (!e.n || trimmed.n != e.n || e.p[0] == '"' || memchr(e.p, ',', e.n)) {
        buf_add_char(out, '"');
        for (size_t i = 0; i < e.n; i++) {
            if (e.p[i] == '"' || e.p[i] == '\\')
                buf_add_char(out, '\\');
            buf_add_char(out, e.p[i]);
        }
        buf_add_char(out, '"');
    } else {
        buf_add_str(out, e);
    }
}

static void format_list(const cs_directive *d, const void *base, struct buf *out)
{
    cs_list l;

    memcpy(&l, (const char *)base + d->off, sizeof l);
    for (size_t i = 0; i < l.n; i++) {
        if (i)
            buf_add_z(out, ", ");
        format_element(l.v[i], out);
    }
}

static void format_templates(const cs_directive *d, const void *base, struct buf *out)
{
    cs_templates l;

    memcpy(&l, (const char *)base + d->off, sizeof l);
    for (size_t i = 0; i < l.n; i++) {
        if (i)
            buf_add_z(out, ", ");
        format_element(l.v[i]->text, out);
    }
}

static void format_blocks(const cs_directive *d, const void *base, struct buf *out)
{
    const struct cs_blocks *b = pointer_at(d, base);

    for (size_t i = 0; i < b->words.n; i++) {
        if (i)
            buf_add_z(out, ", ");
        format_element(b->words.v[i], out);
    }
}

void schema_format(const cs_directive *d, const void *base, struct buf *out)
{
    const char *const *words = d->aux;
    cs_str s;

    switch (d->type) {
    case CS_T_BOOL:
        buf_add_z(out, *((const char *)base + d->off) ? "on" : "off");
        break;
    case CS_T_INT:
    case CS_T_SIZE:
    case CS_T_MSEC:
        format_int(d, number_at(d, base), out);
        break;
    case CS_T_ENUM:
        if (!(d->flags & CONF_OUTER) || number_at(d, base) >= 0)
            buf_add_z(out, words[number_at(d, base)]);
        break;
    case CS_T_STR:
        s = str_at(d, base);
        if (!s.n && d->aux)
            buf_add_z(out, d->aux);
        else
            buf_add_str(out, s);
        break;
    case CS_T_PATH:
        buf_add_str(out, str_at(d, base));
        break;
    case CS_T_LIST:
        format_list(d, base, out);
        break;
    case CS_T_TEMPLATE:
        buf_add_str(out, ((const cs_template *)pointer_at(d, base))->text);
        break;
    case CS_T_TEMPLATES:
        format_templates(d, base, out);
        break;
    case CS_T_BLOCKS:
        format_blocks(d, base, out);
        break;
    default:
        check(false);
    }
}

/* ---- What it takes ---- */

static void accepts_words(const char *const *words, const char *last, struct buf *out)
{
    for (size_t i = 0; words[i]; i++) {
        if (i)
            buf_add_z(out, words[i + 1] ? ", " : last);
        buf_add_z(out, words[i]);
    }
}

static void accepts_range(const cs_directive *d, struct buf *out)
{
    if (!has_range(d))
        return;
    buf_add_z(out, " from ");
    if (d->flags & CONF_OCTAL)
        buf_printf(out, "0 to 0%llo", (unsigned long long)d->max);
    else {
        format_number(d->min, units_of(d), out);
        if (d->max == INT64_MAX) {
            buf_add_z(out, " up");
        } else {
            buf_add_z(out, " to ");
            format_number(d->max, units_of(d), out);
        }
    }
}

static void accepts_length(const cs_directive *d, const char *what, const char *unit,
                           struct buf *out)
{
    buf_add_z(out, what);
    if (d->max > 0 && d->min > 0)
        buf_printf(out, " of %lld to %lld %s", (long long)d->min, (long long)d->max, unit);
    else if (d->max > 0)
        buf_printf(out, " of at most %lld %s", (long long)d->max, unit);
    else if (d->min > 0)
        buf_printf(out, " of at least %lld %s", (long long)d->min, unit);
}

void schema_accepts(const cs_directive *d, struct buf *out)
{
    switch (d->type) {
    case CS_T_BOOL:
        buf_add_z(out, "on or off");
        break;
    case CS_T_INT:
        buf_add_z(out, d->flags & CONF_OCTAL ? "an octal number" : "a whole number");
        accepts_range(d, out);
        break;
    case CS_T_SIZE:
        buf_add_z(out, "a size");
        accepts_range(d, out);
        buf_add_z(out, " (units k, m, g, t)");
        break;
    case CS_T_MSEC:
        buf_add_z(out, "a time");
        accepts_range(d, out);
        buf_add_z(out, " (units ms, s, m, h, d)");
        break;
    case CS_T_ENUM:
        accepts_words(d->aux, " or ", out);
        break;
    case CS_T_STR:
        accepts_length(d, "text", "bytes", out);
        break;
    case CS_T_PATH:
        if (d->aux)
            accepts_words(d->aux, ", ", out);
        buf_add_z(out, d->aux ? " or a path" : "a path");
        break;
    case CS_T_LIST:
        accepts_length(d, "a list", "elements", out);
        break;
    case CS_T_TEMPLATE:
        accepts_length(d, "text with variables such as ${host}", "bytes", out);
        break;
    case CS_T_TEMPLATES:
        accepts_length(d, "a list with variables such as ${host}", "elements", out);
        break;
    case CS_T_BLOCKS:
        accepts_length(d, "a list of addresses, blocks such as 10.0.0.0/8, all and unix",
                       "elements", out);
        break;
    default:
        check(false);
    }
    if ((d->type == CS_T_INT || d->type == CS_T_STR) && d->aux)
        buf_printf(out, ", or %s", (const char *)d->aux);
    if (d->flags & CONF_OUTER)
        buf_add_z(out, ", or nothing");
}

/* ---- From text ---- */

#define SHOWN 60

static int refuse(const cs_directive *d, cs_str text, const char *why, struct buf *error)
{
    buf_printf(error, "\"%.*s%s\" %s; it takes ", text.n > SHOWN ? SHOWN : (int)text.n, text.p,
               text.n > SHOWN ? "..." : "", why);
    schema_accepts(d, error);
    return -1;
}

static int parse_bool(const cs_directive *d, cs_str text, bool *out, struct buf *error)
{
    static const char *const yes[] = {"on", "yes", "true"}, *const no[] = {"off", "no", "false"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (str_eq_nocase(text, str_of(yes[i])) || str_eq_nocase(text, str_of(no[i]))) {
            *out = str_eq_nocase(text, str_of(yes[i]));
            return 0;
        }
    return refuse(d, text, "is neither on nor off", error);
}

static bool unit_is(const cs_directive *d, cs_str text, const char *name)
{
    return d->type == CS_T_SIZE ? str_eq_nocase(text, str_of(name)) : str_is(text, name);
}

static int in_range(const cs_directive *d, cs_str text, int64_t v, struct buf *error)
{
    if (has_range(d) && v < d->min)
        return refuse(d, text, "is too small", error);
    if (has_range(d) && v > d->max)
        return refuse(d, text, "is too large", error);
    return 0;
}

static int parse_octal(const cs_directive *d, cs_str text, int64_t *out, struct buf *error)
{
    int64_t v = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7' || v > 077777777)
            return refuse(d, text, "is not an octal number such as 0660", error);
        v = v * 8 + (text.p[i] - '0');
    }
    if (!text.n)
        return refuse(d, text, "is not an octal number such as 0660", error);
    *out = v;
    return in_range(d, text, v, error);
}

/* Digits and a unit: the range of int64_t is checked before that of the directive. */
static int parse_number(const cs_directive *d, cs_str text, int64_t *out, struct buf *error)
{
    const struct unit *u = units_of(d);
    bool minus = text.n > 1 && text.p[0] == '-';
    size_t i = minus ? 1 : 0, digits = i;
    int64_t v = 0;
    bool over = false;
    cs_str unit;

    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        over = over || __builtin_mul_overflow(v, 10, &v) ||
               __builtin_add_overflow(v, text.p[i] - '0', &v);
    unit = (cs_str){text.p + i, text.n - i};
    if (i == digits)
        return refuse(
            d, text, d->type == CS_T_INT ? "is not a whole number" : "does not start with a number",
            error);
    while (u->name && !unit_is(d, unit, u->name))
        u++;
    if (!u->name && d->type == CS_T_MSEC && !unit.n) {
        if (v != 0 || over)
            return refuse(d, text, "has no unit, such as 30s or 500ms", error);
        u = time_units;
    }
    if (!u->name)
        return refuse(d, text,
                      d->type == CS_T_INT ? "is not a whole number" : "has an unknown unit", error);
    if (over || __builtin_mul_overflow(v, u->factor, &v))
        return refuse(d, text, minus ? "is too small" : "is too large", error);
    *out = minus ? -v : v;
    return in_range(d, text, *out, error);
}

static int parse_int(const cs_directive *d, cs_str text, int64_t *out, struct buf *error)
{
    if (d->type == CS_T_INT && d->aux && str_is(text, d->aux)) {
        *out = 0;
        return 0;
    }
    return d->flags & CONF_OCTAL ? parse_octal(d, text, out, error)
                                 : parse_number(d, text, out, error);
}

static int parse_enum(const cs_directive *d, cs_str text, int64_t *out, struct buf *error)
{
    const char *const *words = d->aux;

    for (int64_t i = 0; words[i]; i++)
        if (str_is(text, words[i])) {
            *out = i;
            return 0;
        }
    return refuse(d, text, "is not known", error);
}

static int parse_whole(const cs_directive *d, cs_str text, int64_t *out, struct buf *error)
{
    if (d->flags & CONF_OUTER && !text.n) {
        *out = -1;
        return 0;
    }
    return d->type == CS_T_ENUM ? parse_enum(d, text, out, error) : parse_int(d, text, out, error);
}

static int in_length(const cs_directive *d, cs_str text, size_t n, struct buf *error)
{
    if (d->min > 0 && (int64_t)n < d->min)
        return refuse(d, text, n ? "is too short" : "is empty", error);
    if (d->max > 0 && (int64_t)n > d->max)
        return refuse(d, text, "is too long", error);
    return 0;
}

static int parse_str(const cs_directive *d, cs_str text, cs_str *out, struct arena *a,
                     struct buf *error)
{
    if (d->aux && str_is(text, d->aux))
        text = CS_S("");
    else if (in_length(d, text, text.n, error) < 0)
        return -1;
    *out = arena_dup(a, text);
    return 0;
}

/* These words mean the same wherever a path may be a word, so that none of them silently becomes a
 * file. */
static bool is_path_word(cs_str text)
{
    return str_is(text, "stderr") || str_is(text, "stdout") || str_is(text, "off");
}

static int parse_path(const cs_directive *d, cs_str text, const char *prefix, cs_str *out,
                      struct arena *a, struct buf *error)
{
    const char *const *words = d->aux;

    for (size_t i = 0; words && words[i]; i++)
        if (str_is(text, words[i])) {
            *out = arena_dup(a, text);
            return 0;
        }
    if (words && is_path_word(text))
        return refuse(d, text, "is not possible here (a file of that name is written ./NAME)",
                      error);
    if (!text.n || text.p[0] == '/')
        *out = arena_dup(a, text);
    else
        *out = arena_printf(a, "%s%s%.*s", prefix, strcmp(prefix, "/") == 0 ? "" : "/", CS_F(text));
    return in_length(d, *out, out->n, error);
}

/* ---- Lists ---- */

/* Takes one quoted element off the front of *line, and the comma behind it. */
static int take_quoted(cs_str *line, struct buf *one, struct buf *error)
{
    size_t i = 1;
    cs_str tail;

    for (; i < line->n && line->p[i] != '"'; i++) {
        if (line->p[i] == '\\' && i + 1 < line->n)
            i++;
        buf_add_char(one, line->p[i]);
    }
    if (i >= line->n) {
        buf_add_z(error, "a quote in the list is not closed");
        return -1;
    }
    tail = str_trim((cs_str){line->p + i + 1, line->n - i - 1});
    if (tail.n && tail.p[0] != ',') {
        buf_add_z(error,
                  "text behind a closing quote in the list; elements are separated by commas");
        return -1;
    }
    *line = tail.n ? str_trim((cs_str){tail.p + 1, tail.n - 1}) : tail;
    return 0;
}

static int take_plain(cs_str *line, struct buf *one, struct buf *error)
{
    const char *comma = memchr(line->p, ',', line->n);
    cs_str e = {line->p, comma ? (size_t)(comma - line->p) : line->n};

    e = str_trim(e);
    if (!e.n) {
        buf_add_z(error, "an empty element in the list: nothing before a comma");
        return -1;
    }
    buf_add_str(one, e);
    *line = comma ? str_trim((cs_str){comma + 1, line->n - (size_t)(comma + 1 - line->p)})
                  : (cs_str){line->p + line->n, 0};
    return 0;
}

struct growing {
    cs_str *v;
    size_t n, cap;
};

static void grow(struct growing *g, cs_str e)
{
    if (g->n == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 8;
        g->v = mem_resize(g->v, g->cap * sizeof *g->v);
    }
    g->v[g->n++] = e;
}

static int split_line(cs_str line, struct arena *a, struct growing *out, struct buf *error)
{
    struct buf one = {0};
    int r = 0;

    line = str_trim(line);
    while (line.n && r == 0) {
        buf_clear(&one);
        r = line.p[0] == '"' ? take_quoted(&line, &one, error) : take_plain(&line, &one, error);
        if (r == 0)
            grow(out, arena_dup(a, buf_str(&one)));
    }
    buf_free(&one);
    return r;
}

int schema_split(cs_str text, struct arena *a, cs_list *out, struct buf *error)
{
    struct growing g = {0};
    int r = 0;

    while (text.n && r == 0) {
        const char *lf = memchr(text.p, '\n', text.n);
        size_t n = lf ? (size_t)(lf - text.p) : text.n;

        r = split_line((cs_str){text.p, n}, a, &g, error);
        n += lf ? 1 : 0;
        text = (cs_str){text.p + n, text.n - n};
    }
    if (r == 0) {
        cs_str *v = arena_alloc(a, (g.n + 1) * sizeof *v);

        if (g.n)
            memcpy(v, g.v, g.n * sizeof *v);
        *out = (cs_list){g.n, v};
    }
    free(g.v);
    return r;
}

static int parse_list(const cs_directive *d, cs_str text, cs_list *out, struct arena *a,
                      struct buf *error)
{
    cs_list l;

    if (schema_split(text, a, &l, error) < 0 || in_length(d, text, l.n, error) < 0)
        return -1;
    *out = l;
    return 0;
}

/* ---- Templates and blocks ---- */

static const cs_template *compile(cs_str text, struct arena *a, struct buf *error)
{
    cs_str where;
    const struct template *t = template_compile(a, text, &where, error);

    return t ? &t->pub : NULL;
}

static int parse_template(const cs_directive *d, cs_str text, const cs_template **out,
                          struct arena *a, struct buf *error)
{
    const cs_template *t = in_length(d, text, text.n, error) < 0 ? NULL : compile(text, a, error);

    if (t)
        *out = t;
    return t ? 0 : -1;
}

static int parse_templates(const cs_directive *d, cs_str text, cs_templates *out, struct arena *a,
                           struct buf *error)
{
    cs_list l;
    const cs_template **v;

    if (schema_split(text, a, &l, error) < 0 || in_length(d, text, l.n, error) < 0)
        return -1;
    v = arena_alloc(a, (l.n + 1) * sizeof *v);
    for (size_t i = 0; i < l.n; i++) {
        v[i] = compile(l.v[i], a, error);
        if (!v[i])
            return -1;
    }
    *out = (cs_templates){l.n, v};
    return 0;
}

static int parse_blocks(const cs_directive *d, cs_str text, const struct cs_blocks **out,
                        struct arena *a, struct buf *error)
{
    cs_list l;
    size_t bad = 0;
    const char *why = NULL;
    const struct cs_blocks *b;

    if (schema_split(text, a, &l, error) < 0 || in_length(d, text, l.n, error) < 0)
        return -1;
    b = blocks_parse(l, a, &bad, &why);
    if (!b) {
        buf_printf(error, "\"%.*s\" %s", l.v[bad].n > SHOWN ? SHOWN : (int)l.v[bad].n, l.v[bad].p,
                   why);
        return -1;
    }
    *out = b;
    return 0;
}

int schema_parse(const cs_directive *d, cs_str text, const char *prefix, void *base,
                 struct arena *a, struct buf *error)
{
    void *to = member(d, base);
    cs_str trimmed = str_trim(text);

    switch (d->type) {
    case CS_T_BOOL:
        return parse_bool(d, trimmed, to, error);
    case CS_T_INT:
    case CS_T_SIZE:
    case CS_T_MSEC:
    case CS_T_ENUM:
        return parse_whole(d, trimmed, to, error);
    case CS_T_STR:
        return parse_str(d, text, to, a, error);
    case CS_T_PATH:
        return parse_path(d, text, prefix, to, a, error);
    case CS_T_LIST:
        return parse_list(d, text, to, a, error);
    case CS_T_TEMPLATE:
        return parse_template(d, text, to, a, error);
    case CS_T_TEMPLATES:
        return parse_templates(d, text, to, a, error);
    case CS_T_BLOCKS:
        return parse_blocks(d, text, to, a, error);
    default:
        check(false);
        return -1;
    }
}

static void set_pointer(const cs_directive *d, void *base, const void *v)
{
    memcpy(member(d, base), &v, sizeof v);
}

/* ---- Lists that add up ---- */

static void *joined(const void *x, size_t nx, const void *y, size_t ny, size_t size,
                    struct arena *a)
{
    char *v = arena_alloc(a, (nx + ny + 1) * size);

    if (nx)
        memcpy(v, x, nx * size);
    if (ny)
        memcpy(v + nx * size, y, ny * size);
    return v;
}

void schema_prepend(const cs_directive *d, const void *outer, void *base, struct arena *a)
{
    cs_list x, y;

    /* A list of templates has the same form: a number, and where its elements are. */
    if (d->type == CS_T_BLOCKS) {
        set_pointer(d, base, blocks_join(pointer_at(d, outer), pointer_at(d, base), a));
        return;
    }
    memcpy(&x, (const char *)outer + d->off, sizeof x);
    memcpy(&y, member(d, base), sizeof y);
    y.v = joined(x.v, x.n, y.v, y.n, d->type == CS_T_LIST ? sizeof(cs_str) : sizeof(cs_template *),
                 a);
    y.n += x.n;
    memcpy(member(d, base), &y, sizeof y);
}

/* ---- Defaults ---- */

static void zero(const cs_directive *d, void *base)
{
    static const cs_list empty;
    static const struct template no_text = {.pub = {.text = {"", 0}, .constant = 1}};
    static const struct blocks no_blocks;

    if (d->type == CS_T_BOOL)
        *(bool *)member(d, base) = false;
    else if (d->type == CS_T_STR || d->type == CS_T_PATH)
        *(cs_str *)member(d, base) = CS_S("");
    else if (d->type == CS_T_LIST || d->type == CS_T_TEMPLATES)
        memcpy(member(d, base), &empty, sizeof empty);
    else if (d->type == CS_T_TEMPLATE)
        set_pointer(d, base, &no_text.pub);
    else if (d->type == CS_T_BLOCKS)
        set_pointer(d, base, &no_blocks.pub);
    else
        *(int64_t *)member(d, base) = d->flags & CONF_OUTER ? -1 : 0;
}

int schema_defaults(const cs_directive *table, const char *prefix, void *base, struct arena *a,
                    struct buf *error)
{
    for (const cs_directive *d = table; d && d->type != CS_T_END; d++) {
        zero(d, base);
        if (d->def && schema_parse(d, str_of(d->def), prefix, base, a, error) < 0)
            return -1;
    }
    return 0;
}
