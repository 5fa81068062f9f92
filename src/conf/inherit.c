/* inherit.c - a module's keys hold for the module, then the site, then the route. Whoever overrides
 * nothing shares the struct of the level above; whoever does gets a copy of it.
 *
 * On a route a plain key belongs to the participant that declares it, on a site to the only module that
 * does; "module.key" is always possible. */
#include "base/check.h"
#include "base/mem.h"
#include "conf/bind.h"

#include <stdlib.h>

/* The section whose keys are looked at. */
struct level {
    struct bind *b;
    const struct conf_section *s;
    struct conf_head *head;
    const struct conf_route *route; /* NULL: a site */
    const cs_list *use;
    bool *candidate;   /* [module]: its plain keys may stand here */
    size_t fallback;   /* index of static where it serves the root, else none */
    const void **conf; /* [module]: what holds here */
    const void *const *above;
};

/* Whose key an entry is. */
struct owner {
    const cs_directive *d; /* NULL: nobody's, or reported */
    size_t module;
};

static const struct conf_module *module_at(const struct level *l, size_t i)
{
    return &l->b->c->modules[i];
}

static const cs_directive *own_key(const struct level *l, size_t i, cs_str key)
{
    const cs_module *desc = module_at(l, i)->desc;

    return desc ? schema_find(desc->directives, key) : NULL;
}

static size_t find_module(const struct bind *b, cs_str name)
{
    size_t i = 0;

    while (i < b->c->nmodules && !str_eq(b->c->modules[i].head.label, name))
        i++;
    return i;
}

/* A module that could not be loaded is reported elsewhere; what may be its keys is not looked at.
 */
static bool any_unloaded(const struct level *l)
{
    if (l->route && l->route->nhandlers < l->route->handler.n)
        return true;
    for (size_t i = 0; i < l->use->n; i++)
        if (l->use->v[i].n && l->use->v[i].p[0] != '-' &&
            find_module(l->b, l->use->v[i]) == l->b->c->nmodules)
            return true;
    for (size_t i = 0; i < l->b->c->nmodules; i++)
        if (l->candidate[i] && !module_at(l, i)->desc)
            return true;
    return false;
}

__attribute__((format(printf, 3, 4))) static void refuse(const struct level *l,
                                                         const struct conf_entry *e,
                                                         const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    report_error(l->b->rep, &e->at, (int)e->key.n, "\"%s\" in %s: %s", e->key.p,
                 value_section_name(l->b, l->s->kind, l->s->label), text.p);
    buf_free(&text);
}

static void not_here(const struct level *l, const struct conf_entry *e, size_t module)
{
    const char *name = module_at(l, module)->head.label.p;

    refuse(l, e,
           "this key of the module \"%s\" holds for the whole server; it belongs to [module:%s]",
           name, name);
}

/* What is wrong with a key of a module that takes no part in the requests of a route. */
static const char *no_part(const struct level *l, size_t module)
{
    return participants_usable(module_at(l, module)->desc)
               ? "neither in use nor a handler of this route"
               : "not a handler of this route";
}

/* ---- module.key ---- */

static void unknown_of_module(const struct level *l, const struct conf_entry *e, size_t module,
                              cs_str key)
{
    const cs_directive *table = module_at(l, module)->desc->directives;
    struct buf tail = {0};
    cs_str names[64];
    size_t n = 0;

    for (const cs_directive *d = table; d && d->type != CS_T_END && n < ARRAY_LEN(names); d++)
        names[n++] = str_of(d->name);
    keys_did_you_mean(key, names, n, &tail);
    refuse(l, e, "the module \"%s\" has no key \"%.*s\"%s", module_at(l, module)->head.label.p,
           CS_F(key), tail.n ? tail.p : "");
    buf_free(&tail);
}

static void unknown_module(const struct level *l, const struct conf_entry *e, cs_str name)
{
    struct buf tail = {0};
    cs_str names[64];
    size_t n = 0;

    for (size_t i = 0; i < l->b->c->nmodules && n < ARRAY_LEN(names); i++)
        names[n++] = module_at(l, i)->head.label;
    keys_did_you_mean(name, names, n, &tail);
    refuse(l, e, "the module \"%.*s\" is not loaded; load it with [module:%.*s]%s", CS_F(name),
           CS_F(name), tail.n ? tail.p : "");
    buf_free(&tail);
}

static struct owner dotted(const struct level *l, const struct conf_entry *e, const char *dot)
{
    cs_str name = {e->key.p, (size_t)(dot - e->key.p)};
    cs_str key = {dot + 1, e->key.n - name.n - 1};
    struct owner o = {NULL, find_module(l->b, name)};
    const cs_module *desc;

    if (o.module == l->b->c->nmodules) {
        unknown_module(l, e, name);
        return o;
    }
    desc = module_at(l, o.module)->desc;
    if (!desc)
        return o;
    o.d = schema_find(desc->directives, key);
    if (!o.d) {
        unknown_of_module(l, e, o.module, key);
    } else if (!(o.d->flags & CS_PER_ROUTE)) {
        not_here(l, e, o.module);
        o.d = NULL;
    } else if (l->route && !l->candidate[o.module] && o.module != l->fallback) {
        refuse(l, e, "\"%s\" is %s, so the key would do nothing",
               module_at(l, o.module)->head.label.p, no_part(l, o.module));
        o.d = NULL;
    }
    return o;
}

/* ---- Plain keys ---- */

static void ambiguous(const struct level *l, const struct conf_entry *e)
{
    struct buf forms = {0};

    for (size_t i = 0; i < l->b->c->nmodules; i++) {
        const cs_directive *d = l->candidate[i] ? own_key(l, i, e->key) : NULL;

        if (d && d->flags & CS_PER_ROUTE)
            buf_printf(&forms, "%s\"%s.%s\"", forms.n ? " or " : "", module_at(l, i)->head.label.p,
                       e->key.p);
    }
    refuse(l, e, "more than one module has this key; write %s", forms.p);
    buf_free(&forms);
}

static void unknown_plain(const struct level *l, const struct conf_entry *e)
{
    size_t n = l->b->c->nmodules;
    const cs_directive **extra;

    for (size_t i = 0; i < n; i++) {
        const cs_directive *d = own_key(l, i, e->key);

        if (d && !(d->flags & CS_PER_ROUTE)) {
            not_here(l, e, i);
            return;
        }
        if (d && l->route) {
            refuse(l, e, "a key of the module \"%s\", which is %s", module_at(l, i)->head.label.p,
                   no_part(l, i));
            return;
        }
    }
    if (any_unloaded(l))
        return;
    extra = mem_alloc((n + 1) * sizeof *extra);
    for (size_t i = 0; i < n; i++)
        if ((l->candidate[i] || i == l->fallback) && module_at(l, i)->desc)
            extra[i] = module_at(l, i)->desc->directives;
    keys_unknown(l->b, l->s, e, extra);
    free(extra);
}

static struct owner plain(const struct level *l, const struct conf_entry *e)
{
    struct owner o = {NULL, 0};
    size_t found = 0;

    for (size_t i = 0; i < l->b->c->nmodules; i++) {
        const cs_directive *d = l->candidate[i] ? own_key(l, i, e->key) : NULL;

        if (d && d->flags & CS_PER_ROUTE) {
            o = (struct owner){d, i};
            found++;
        }
    }
    if (!found && l->fallback < l->b->c->nmodules) {
        o = (struct owner){own_key(l, l->fallback, e->key), l->fallback};
        found = o.d && o.d->flags & CS_PER_ROUTE;
    }
    if (found == 1)
        return o;
    if (found)
        ambiguous(l, e);
    else
        unknown_plain(l, e);
    return (struct owner){NULL, 0};
}

static struct owner owner_of(const struct level *l, const struct conf_entry *e)
{
    const char *dot = memchr(e->key.p, '.', e->key.n);

    return dot ? dotted(l, e, dot) : plain(l, e);
}

/* ---- Binding ---- */

static void *own_copy(const struct level *l, size_t module)
{
    size_t size = module_at(l, module)->desc->conf_size;
    void *copy;

    if (l->conf[module] == l->above[module]) {
        copy = arena_zalloc(&l->b->c->arena, size + 1);
        memcpy(copy, l->above[module], size);
        l->conf[module] = copy;
    }
    /* The tree is constant for everybody but its maker. */
    return (void *)(uintptr_t)l->conf[module];
}

/* All entries of one directive, from entry `first` on; a list may have several. */
static void bind_key(const struct level *l, const struct conf_entry **entries, struct owner *owners,
                     size_t first, size_t n)
{
    struct owner o = owners[first];
    const struct conf_entry **same = mem_alloc(n * sizeof *same);
    struct conf_value *v = &l->head->values[l->head->nvalues++];
    size_t found = 0;

    for (size_t i = first; i < n; i++)
        if (owners[i].d == o.d && owners[i].module == o.module) {
            same[found++] = entries[i];
            owners[i].d = NULL;
        }
    void *conf = own_copy(l, o.module);
    value_bind(l->b, l->s, same, found, o.d, conf, v);
    if (o.d->flags & CS_ADDS)
        schema_prepend(o.d, l->above[o.module], conf, &l->b->c->arena);
    v->module = module_at(l, o.module);
    free(same);
}

/* Keys that the core's table does not know. */
static void bind_level(const struct level *l)
{
    const struct conf_kind *kind = schema_kind(l->s->kind);
    const struct conf_entry **entries = mem_alloc((l->s->nentries + 1) * sizeof *entries);
    struct owner *owners = mem_alloc((l->s->nentries + 1) * sizeof *owners);
    size_t n = 0;

    for (const struct conf_entry *e = l->s->first; e; e = e->next)
        if (!schema_find(kind->table, e->key)) {
            entries[n] = e;
            owners[n++] = owner_of(l, e);
        }
    for (size_t i = 0; i < n; i++)
        if (owners[i].d)
            bind_key(l, entries, owners, i, n);
    free(entries);
    free(owners);
}

static const void **shared(struct bind *b, const void *const *above)
{
    const void **conf = arena_zalloc(&b->c->arena, (b->c->nmodules + 1) * sizeof *conf);

    for (size_t i = 0; i < b->c->nmodules; i++)
        conf[i] = above ? above[i] : b->c->modules[i].conf;
    return conf;
}

void inherit_site(struct bind *b, struct conf_site *site, const struct conf_section *s)
{
    size_t n = b->c->nmodules;
    const void **above = shared(b, NULL);
    struct level l = {
        .b = b, .s = s, .head = &site->head, .use = &site->use, .fallback = n, .above = above};

    site->module_conf = l.conf = shared(b, NULL);
    if (!s)
        return;
    l.candidate = mem_alloc(n + 1);
    for (size_t i = 0; i < n; i++)
        l.candidate[i] = true;
    bind_level(&l);
    free(l.candidate);
}

/* Its keys do nothing on a route, but do not harm there either. */
static bool meets_no_request(const cs_module *desc)
{
    return desc && !desc->handler && !participants_usable(desc);
}

void inherit_route(struct bind *b, struct conf_route *route, const struct conf_section *s)
{
    size_t n = b->c->nmodules;
    struct level l = {.b = b,
                      .s = s,
                      .head = &route->head,
                      .route = route,
                      .use = &route->use,
                      .fallback = n,
                      .above = route->site->module_conf};

    route->module_conf = l.conf = shared(b, l.above);
    l.candidate = mem_alloc(n + 1);
    for (size_t i = 0; i < n; i++)
        l.candidate[i] = meets_no_request(b->c->modules[i].desc);
    for (size_t i = 0; i < route->nhandlers; i++)
        l.candidate[route->handlers[i] - b->c->modules] = true;
    for (size_t i = 0; i < route->nused; i++)
        l.candidate[route->used[i] - b->c->modules] = true;
    if (route->root.n || route->site->root.n)
        l.fallback = find_module(b, CS_S("static"));
    bind_level(&l);
    free(l.candidate);
}

/* ---- [module:x] ---- */

static void module_entries(struct bind *b, struct conf_module *m, const struct conf_section *s,
                           void *conf)
{
    const struct conf_entry **same = mem_alloc((s->nentries + 1) * sizeof *same);

    for (size_t i = 0; i < m->head.nvalues; i++) {
        struct conf_value *v = &m->head.values[i];
        size_t n = 0;

        for (const struct conf_entry *e = s->first; v->module && e; e = e->next)
            if (str_is(e->key, v->directive->name))
                same[n++] = e;
        if (n) {
            value_bind(b, s, same, n, v->directive, conf, v);
            v->module = m;
        }
    }
    free(same);
}

void inherit_module(struct bind *b, size_t i, const struct conf_section *s)
{
    struct conf_module *m = &b->c->modules[i];
    const cs_directive *table = m->desc->directives, *d;
    void *conf = arena_zalloc(&b->c->arena, m->desc->conf_size + 1);
    const struct conf_kind *kind = schema_kind(CS_S("module"));
    struct conf_value *values;
    struct buf error = {0};
    size_t n = 0;

    m->conf = conf;
    while (table && table[n].type != CS_T_END)
        n++;
    values = arena_zalloc(&b->c->arena, (m->head.nvalues + n) * sizeof *values);
    memcpy(values, m->head.values, m->head.nvalues * sizeof *values);
    m->head.values = values;
    check(schema_defaults(table, b->t->prefix, conf, &b->c->arena, &error) == 0);
    for (d = table; d && d->type != CS_T_END; d++) {
        value_default(b, d, conf, &values[m->head.nvalues]);
        values[m->head.nvalues++].module = m;
    }
    if (s)
        module_entries(b, m, s, conf);
    for (const struct conf_entry *e = s ? s->first : NULL; e; e = e->next)
        if (!schema_find(kind->table, e->key) && !schema_find(table, e->key)) {
            const cs_directive **extra = mem_alloc((b->c->nmodules + 1) * sizeof *extra);

            extra[i] = table;
            keys_unknown(b, s, e, extra);
            free(extra);
        }
}
