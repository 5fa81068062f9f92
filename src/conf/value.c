/* value.c - how the lines of a value become one text depends on its type: a list gets elements, a
 * text blanks, a path nothing. */
#include "base/check.h"
#include "base/mem.h"
#include "conf/bind.h"
#include "conf/expand.h"
#include "conf/text.h"
#include "http/template.h"

#include <stdlib.h>

static const struct conf_origin by_default = {.what = "default"};

const char *value_section_name(struct bind *b, cs_str kind, cs_str label)
{
    return label.n ? arena_printf(&b->c->arena, "[%.*s:%.*s]", CS_F(kind), CS_F(label)).p
                   : arena_printf(&b->c->arena, "[%.*s]", CS_F(kind)).p;
}

/* In a list the quotes of a line are the quotes of one element. */
static void add_list_line(const struct conf_piece *p, struct buf *out)
{
    if (out->n)
        buf_add_char(out, '\n');
    if (!p->quoted) {
        buf_add_str(out, p->text);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < p->text.n; i++) {
        if (p->text.p[i] == '"' || p->text.p[i] == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, p->text.p[i]);
    }
    buf_add_char(out, '"');
}

static void add_piece(const struct conf_piece *p, const cs_directive *d, struct buf *out)
{
    bool blank = d->type != CS_T_PATH && !(d->flags & CONF_TIGHT);

    if (schema_is_list(d)) {
        add_list_line(p, out);
        return;
    }
    if (out->n && blank)
        buf_add_char(out, ' ');
    buf_add_str(out, p->text);
}

cs_str value_text(struct arena *a, const struct conf_entry *const *entries, size_t n,
                  const cs_directive *d)
{
    struct buf all = {0};
    cs_str text;

    for (size_t i = 0; i < n; i++)
        for (const struct conf_piece *p = entries[i]->pieces; p; p = p->next)
            add_piece(p, d, &all);
    text = arena_dup(a, buf_str(&all));
    buf_free(&all);
    return text;
}

static cs_str formatted(struct bind *b, const cs_directive *d, const void *base)
{
    struct buf text = {0};
    cs_str out;

    schema_format(d, base, &text);
    out = arena_dup(&b->c->arena, buf_str(&text));
    buf_free(&text);
    return out;
}

void value_default(struct bind *b, const cs_directive *d, const void *base, struct conf_value *out)
{
    *out = (struct conf_value){.directive = d, .origin = by_default};
    if (d->def || !(d->flags & CS_REQUIRED))
        out->text = formatted(b, d, base);
}

/* A habit of other servers' files, worth a word. */
static const char *hint(cs_str text)
{
    if (text.n && text.p[text.n - 1] == ';')
        return " (there is no \";\" at the end of a setting)";
    if (memmem(text.p, text.n, " #", 2))
        return " (a comment behind a value starts with \" ;\")";
    if (memchr(text.p, '\n', text.n))
        return " (the indented lines below belong to the value)";
    return "";
}

/* A report goes to logs and terminals: the line of a secret is named there, not shown. */
static struct conf_origin shown(struct conf_origin at, const cs_directive *d)
{
    if (d->flags & CS_SECRET)
        at.text = "";
    return at;
}

static void report_value(struct bind *b, const struct conf_entry *e, const cs_directive *d,
                         cs_str text, const char *error)
{
    cs_str first = e->pieces ? e->pieces->text : e->key;
    struct conf_origin at = shown(e->value_at, d);

    report_error(b->rep, &at, (int)first.n, "%s: %s%s", e->key.p, error, hint(text));
}

/* The line of the list that the parser did not like. */
static const struct conf_entry *bad_entry(const struct conf_entry *const *entries, size_t n,
                                          const cs_directive *d)
{
    struct arena scratch;
    struct buf error = {0};
    const struct conf_entry *bad = entries[0];
    cs_list l;

    arena_init(&scratch, NULL);
    for (size_t i = 0; i < n && !error.n; i++) {
        bad = entries[i];
        schema_split(value_text(&scratch, &entries[i], 1, d), &scratch, &l, &error);
    }
    arena_drop(&scratch);
    bad = error.n ? bad : entries[0];
    buf_free(&error);
    return bad;
}

static void set_twice(struct bind *b, const struct conf_section *s, const struct conf_entry *first,
                      const struct conf_entry *again)
{
    struct buf where = {0};

    report_origin(&first->at, &where);
    report_error(b->rep, &again->at, (int)again->key.n,
                 "\"%s\" is set a second time in %s; the first time is at %s", again->key.p,
                 value_section_name(b, s->kind, s->label), where.p);
    buf_free(&where);
}

static size_t total(const struct conf_entry *const *entries, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += entries[i]->value.n + (i ? 1 : 0);
    return sum;
}

static struct conf_origin place_of(const struct conf_entry *const *entries, size_t n, cs_str what)
{
    for (size_t i = 0; i < n; i++)
        for (const struct conf_piece *p = entries[i]->pieces; p; p = p->next)
            if (what.n && memmem(p->text.p, p->text.n, what.p, what.n))
                return report_point(&p->at, what);
    return entries[0]->value_at;
}

static void report_variable(struct bind *b, const struct conf_entry *const *entries, size_t n,
                            const cs_directive *d, cs_str where, const char *error)
{
    struct conf_origin at = place_of(entries, n, where);

    at = shown(at, d);
    report_error(b->rep, &at, (int)where.n, "%s: %s", entries[0]->key.p, error);
}

/* What is no template has its variables from the environment already, and "$${" stands for "${". */
static bool without_variables(struct bind *b, const struct conf_entry *const *entries, size_t n,
                              const cs_directive *d, cs_str *text)
{
    struct buf plain = {0}, error = {0};
    cs_str where = {NULL, 0};
    bool ok = expand_plain(*text, &plain, &where, &error) == 0;

    if (ok)
        *text = arena_dup(&b->c->arena, buf_str(&plain));
    else
        report_variable(b, entries, n, d, where, error.p);
    buf_free(&plain);
    buf_free(&error);
    return ok;
}

static bool with_variables(struct bind *b, const struct conf_entry *const *entries, size_t n,
                           const cs_directive *d, cs_str text)
{
    struct buf error = {0};
    cs_str where = {NULL, 0};
    struct arena scratch;
    bool ok;

    arena_init(&scratch, NULL);
    ok = template_compile(&scratch, text, &where, &error) != NULL;
    if (!ok)
        report_variable(b, entries, n, d, where, error.p);
    arena_drop(&scratch);
    buf_free(&error);
    return ok;
}

/* How many groups the regex of a route may have. */
static size_t groups(const struct conf_section *s)
{
    size_t n = 0;

    for (const struct conf_entry *e = s->first; e; e = e->next)
        for (size_t i = 0; str_is(e->key, "match") && i < e->value.n && e->value.p[0] == '~'; i++)
            n += e->value.p[i] == '(';
    return n;
}

/* What is a variable elsewhere, and was hardly meant as text. */
static void look_for_bare(struct bind *b, const struct conf_section *s,
                          const struct conf_entry *const *entries, size_t n, const cs_directive *d,
                          cs_str text)
{
    struct buf ours = {0};
    struct conf_origin at;
    cs_str where;

    if (template_bare(text, &where, &ours) &&
        (where.n != 2 || (size_t)(where.p[1] - '0') <= groups(s))) {
        at = shown(place_of(entries, n, where), d);
        report_warning(b->rep, &at, (int)where.n,
                       "%s: \"%.*s\" is plain text here; the variable is written ${%s}",
                       entries[0]->key.p, CS_F(where), ours.p);
    }
    buf_free(&ours);
}

static void store(struct bind *b, const struct conf_section *s,
                  const struct conf_entry *const *entries, size_t n, const cs_directive *d,
                  void *base)
{
    struct buf error = {0};
    cs_str text = value_text(&b->c->arena, entries, n, d);

    if (schema_is_template(d) ? !with_variables(b, entries, n, d, text)
                              : !without_variables(b, entries, n, d, &text))
        return;

    if (total(entries, n) > TEXT_VALUE_MAX)
        report_error(b->rep, &entries[0]->at, (int)entries[0]->key.n,
                     "%s: all its lines together are longer than %d bytes", entries[0]->key.p,
                     TEXT_VALUE_MAX);
    else if (schema_parse(d, text, b->t->prefix, base, &b->c->arena, &error) < 0)
        report_value(b, bad_entry(entries, n, d), d, text, error.p);
    else
        mark_templates(b, s, entries, n, d, base);
    if (schema_is_template(d))
        look_for_bare(b, s, entries, n, d, text);
    buf_free(&error);
}

static struct conf_origin origin_of(const struct conf_entry *const *entries, size_t n)
{
    struct conf_origin at = entries[0]->value_at;

    for (size_t i = 0; i < n; i++)
        for (const struct conf_piece *p = entries[i]->pieces; p; p = p->next)
            if (p->env && at.file)
                at.what = "environment";
    return at;
}

/* The command line wins over the files even where the two write the key differently (greeting,
 * hello.greeting). */
static size_t only_override(const struct conf_entry *const *entries, size_t n)
{
    for (size_t i = n; i-- > 0;)
        if (!entries[i]->at.file)
            return i;
    return n;
}

void value_bind(struct bind *b, const struct conf_section *s,
                const struct conf_entry *const *entries, size_t n, const cs_directive *d,
                void *base, struct conf_value *out)
{
    size_t override = only_override(entries, n);
    bool bad = false;

    if (override < n) {
        entries += override;
        n = 1;
    }
    for (size_t i = 1; i < n && !schema_is_list(d); i++)
        set_twice(b, s, entries[0], entries[i]);
    if (!schema_is_list(d))
        n = 1;
    for (size_t i = 0; i < n; i++)
        bad = bad || entries[i]->bad;
    if (!bad)
        store(b, s, entries, n, d, base);
    *out = (struct conf_value){
        .directive = d, .text = formatted(b, d, base), .origin = shown(origin_of(entries, n), d)};
}

/* ---- Sections ---- */

static size_t entries_of(const struct conf_section *s, const char *key,
                         const struct conf_entry **out)
{
    size_t n = 0;

    for (const struct conf_entry *e = s ? s->first : NULL; e; e = e->next)
        if (str_is(e->key, key))
            out[n++] = e;
    return n;
}

static void check_required(struct bind *b, const struct conf_head *head, const cs_directive *d)
{
    struct buf takes = {0};

    schema_accepts(d, &takes);
    report_error(b->rep, &head->at, (int)(head->kind.n + head->label.n) + 3,
                 "%s has no \"%s\"; it needs one: %s",
                 value_section_name(b, head->kind, head->label), d->name, takes.p);
    buf_free(&takes);
}

void value_section(struct bind *b, const struct conf_kind *kind, const struct conf_section *s,
                   void *base, struct conf_head *head)
{
    size_t most = s ? s->nentries : 0, known = 0, n;
    const struct conf_entry **found = mem_alloc((most + 1) * sizeof *found);
    struct buf error = {0};

    while (kind->table[known].type != CS_T_END)
        known++;
    check(schema_defaults(kind->table, b->t->prefix, base, &b->c->arena, &error) == 0);
    head->kind = str_of(kind->name);
    head->label = s ? s->label : CS_S("");
    head->at = s ? s->at : by_default;
    head->nvalues = known;
    head->values = arena_zalloc(&b->c->arena, (known + most) * sizeof *head->values);
    for (size_t i = 0; i < known; i++) {
        const cs_directive *d = &kind->table[i];

        n = entries_of(s, d->name, found);
        if (n)
            value_bind(b, s, found, n, d, base, &head->values[i]);
        else
            value_default(b, d, base, &head->values[i]);
        if (!n && s && !s->again && (d->flags & CS_REQUIRED))
            check_required(b, head, d);
    }
    free(found);
}

struct conf_origin value_place(struct bind *b, const struct conf_section *s, const char *key,
                               size_t index, cs_str element)
{
    struct conf_origin at = by_default;
    struct buf error = {0};
    size_t before = 0;

    for (const struct conf_entry *e = s ? s->first : NULL; e; e = e->next)
        for (const struct conf_piece *p = str_is(e->key, key) ? e->pieces : NULL; p; p = p->next) {
            cs_list l = {p->quoted ? 1 : 0, NULL};

            if (!p->quoted && schema_split(p->text, &b->c->arena, &l, &error) < 0)
                l.n = 0;
            if (index >= before && index < before + l.n)
                at = report_point(&p->at, element);
            before += l.n;
        }
    buf_free(&error);
    return at;
}

struct conf_origin conf_place_of(const struct conf *c, const struct conf_head *head,
                                 const struct conf_value *v, size_t index, cs_str text)
{
    const struct conf_section *s = conf_text_find(c->text, head->kind, head->label);
    struct conf scratch = {0};
    struct bind b = {.c = &scratch, .t = c->text};
    const char *key = v->directive->name;

    arena_init(&scratch.arena, NULL);
    struct conf_origin at = value_place(&b, s, key, index, text);
    if (!at.file && !at.text && v->module) {
        key = arena_printf(&scratch.arena, "%s.%s", v->module->head.label.p, key).p;
        at = value_place(&b, s, key, index, text);
    }
    arena_drop(&scratch.arena);
    return at.file || at.text ? at : v->origin;
}

void value_vrefuse(struct bind *b, const struct conf_section *s, const char *key, size_t index,
                   cs_str element, const char *fmt, va_list ap)
{
    struct conf_origin at = value_place(b, s, key, index, element);
    struct buf text = {0};

    buf_vprintf(&text, fmt, ap);
    report_error(b->rep, &at, element.n ? (int)element.n : 1, "%s: %s", key, text.p);
    buf_free(&text);
}
