/* keys.c - nobody shall search for a key that does nothing: a wrong one is told with the nearest
 * right one, or with the section or module it belongs to. */
#include "conf/bind.h"

#include "base/check.h"

/* Short names are all near each other. */
static unsigned reach(cs_str name)
{
    return name.n < 4 ? 1 : 2;
}

static void consider(cs_str wrong, cs_str name, cs_str *best, unsigned *distance)
{
    unsigned max = reach(wrong), d = str_distance(wrong, name, max);

    if (str_eq_nocase(wrong, name))
        d = 0;
    if (d <= max && (!best->n || d < *distance)) {
        *best = name;
        *distance = d;
    }
}

static void consider_table(cs_str wrong, const cs_directive *table, cs_str *best,
                           unsigned *distance)
{
    for (const cs_directive *d = table; d && d->type != CS_T_END; d++)
        consider(wrong, str_of(d->name), best, distance);
}

static void ask(cs_str best, struct buf *out)
{
    if (best.n)
        buf_printf(out, "; did you mean \"%.*s\"?", CS_F(best));
}

void keys_did_you_mean(cs_str wrong, const cs_str *names, size_t n, struct buf *out)
{
    cs_str best = {NULL, 0};
    unsigned distance = 0;

    for (size_t i = 0; i < n; i++)
        consider(wrong, names[i], &best, &distance);
    ask(best, out);
}

static const char *form(const struct conf_kind *k)
{
    return k->labelled ? ":..." : "";
}

void keys_unknown_kind(struct bind *b, const struct conf_section *s)
{
    const struct conf_kind *k = schema_kind(s->kind);
    cs_str best = {NULL, 0};
    unsigned distance = 0;
    struct buf tail = {0};

    for (const struct conf_kind *i = conf_kinds; i->name; i++)
        consider(s->kind, str_of(i->name), &best, &distance);
    ask(best, &tail);
    if (!best.n) {
        buf_add_z(&tail, "; there are");
        for (const struct conf_kind *i = conf_kinds; i->name; i++)
            buf_printf(&tail, "%s [%s%s]", i == conf_kinds ? "" : ",", i->name, form(i));
    }
    if (k && k->labelled)
        report_error(b->rep, &s->at, (int)s->kind.n + 2, "[%s] needs a label, such as [%s:main]",
                     k->name, k->name);
    else if (k)
        report_error(b->rep, &s->at, (int)(s->kind.n + s->label.n) + 3,
                     "there is one [%s]; it has no label", k->name);
    else
        report_error(b->rep, &s->at, (int)s->kind.n + 2, "unknown section %s%s",
                     value_section_name(b, s->kind, s->label), tail.p);
    buf_free(&tail);
}

/* Appends to *out where else a key of exactly that name is at home. */
static bool belongs(struct bind *b, const struct conf_section *s, cs_str key, struct buf *out)
{
    bool any = false;

    for (const struct conf_kind *k = conf_kinds; k->name; k++)
        if (!str_is(s->kind, k->name) && schema_find(k->table, key)) {
            buf_printf(out, "%s[%s%s]", any ? " or " : "; it belongs to ", k->name, form(k));
            any = true;
        }
    for (size_t i = 0; i < b->c->nmodules; i++) {
        const struct conf_module *m = &b->c->modules[i];

        if (!m->desc || !schema_find(m->desc->directives, key))
            continue;
        if (str_is(s->kind, "module") && str_eq(s->label, m->head.label))
            continue;
        buf_printf(out, "%s[module:%s]", any ? " or " : "; it belongs to ", m->head.label.p);
        any = true;
    }
    return any;
}

/* Near names of other sections, when this section has none. */
static void near_elsewhere(cs_str key, struct buf *out)
{
    cs_str best = {NULL, 0};
    unsigned distance = 0;

    for (const struct conf_kind *k = conf_kinds; k->name && !best.n; k++) {
        consider_table(key, k->table, &best, &distance);
        if (best.n)
            buf_printf(out, "; did you mean \"%.*s\" of [%s%s]?", CS_F(best), k->name, form(k));
    }
}

/* Nothing here is named so. */
static void look_around(const struct conf_section *s, cs_str key, bool modules, struct buf *out)
{
    if (!elsewhere_key(key, out))
        near_elsewhere(key, out);
    if (!out->n && modules && !str_is(s->kind, "module"))
        buf_add_z(out, "; where it is a module's, load that with [module:NAME]");
}

void keys_unknown(struct bind *b, const struct conf_section *s, const struct conf_entry *e,
                  const cs_directive *const *extra)
{
    const struct conf_kind *k = schema_kind(s->kind);
    cs_str best = {NULL, 0};
    unsigned distance = 0;
    struct buf tail = {0};

    consider_table(e->key, k->table, &best, &distance);
    if (str_is(s->kind, "server"))
        consider(e->key, CS_S("include"), &best, &distance);
    for (size_t i = 0; extra && i < b->c->nmodules; i++)
        consider_table(e->key, extra[i], &best, &distance);
    if (!belongs(b, s, e->key, &tail)) {
        ask(best, &tail);
        if (!best.n)
            look_around(s, e->key, extra != NULL, &tail);
    }
    report_error(b->rep, &e->at, (int)e->key.n, "unknown key \"%s\" in %s%s", e->key.p,
                 value_section_name(b, s->kind, s->label), tail.n ? tail.p : "");
    buf_free(&tail);
}
