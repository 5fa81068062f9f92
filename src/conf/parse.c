/* parse.c - text becomes a value, type by type; whatever does not fit is told with what would. */
#include "base/blocks.h"
#include "base/check.h"
#include "conf/member.h"
#include "http/template.h"

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
    if (member_has_range(d) && v < d->min)
        return refuse(d, text, "is too small", error);
    if (member_has_range(d) && v > d->max)
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
    const struct member_unit *u = member_units(d);
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
        u = member_time_units;
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
    void *to = member_of(d, base);
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
