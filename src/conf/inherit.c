/* inherit.c - a module's keys hold for the module, then the site, then the route. Whoever overrides
 * nothing shares the struct of the level above; whoever does gets a copy of it. */
#include "base/check.h"
#include "base/mem.h"
#include "conf/bind.h"
#include "conf/owner.h"

#include <stdlib.h>

/* A site or a route. */
struct level {
    struct owner_level keys;
    struct conf_head *head;
    const void **conf; /* [module]: what holds here */
    const void *const *above;
};

static void *own_copy(const struct level *l, size_t module)
{
    size_t size = l->keys.b->c->modules[module].desc->conf_size;
    void *copy;

    if (l->conf[module] == l->above[module]) {
        copy = arena_zalloc(&l->keys.b->c->arena, size + 1);
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
    value_bind(l->keys.b, l->keys.s, same, found, o.d, conf, v);
    if (o.d->flags & CS_ADDS)
        schema_prepend(o.d, l->above[o.module], conf, &l->keys.b->c->arena);
    v->module = &l->keys.b->c->modules[o.module];
    free(same);
}

/* Keys that the core's table does not know. */
static void bind_level(const struct level *l)
{
    const struct conf_kind *kind = schema_kind(l->keys.s->kind);
    const struct conf_entry **entries = mem_alloc((l->keys.s->nentries + 1) * sizeof *entries);
    struct owner *owners = mem_alloc((l->keys.s->nentries + 1) * sizeof *owners);
    size_t n = 0;

    for (const struct conf_entry *e = l->keys.s->first; e; e = e->next)
        if (!schema_find(kind->table, e->key)) {
            entries[n] = e;
            owners[n++] = owner_of(&l->keys, e);
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
    struct level l = {.keys = {.b = b, .s = s, .use = &site->use, .fallback = n},
                      .head = &site->head,
                      .above = above};

    site->module_conf = l.conf = shared(b, NULL);
    if (!s)
        return;
    l.keys.candidate = mem_alloc(n + 1);
    for (size_t i = 0; i < n; i++)
        l.keys.candidate[i] = true;
    bind_level(&l);
    free(l.keys.candidate);
}

/* Its keys do nothing on a route, but do not harm there either. */
static bool meets_no_request(const cs_module *desc)
{
    return desc && !desc->handler && !participants_usable(desc);
}

void inherit_route(struct bind *b, struct conf_route *route, const struct conf_section *s)
{
    size_t n = b->c->nmodules;
    struct level l = {.keys = {.b = b, .s = s, .route = route, .use = &route->use, .fallback = n},
                      .head = &route->head,
                      .above = route->site->module_conf};

    route->module_conf = l.conf = shared(b, l.above);
    l.keys.candidate = mem_alloc(n + 1);
    for (size_t i = 0; i < n; i++)
        l.keys.candidate[i] = meets_no_request(b->c->modules[i].desc);
    for (size_t i = 0; i < route->nhandlers; i++)
        l.keys.candidate[route->handlers[i] - b->c->modules] = true;
    for (size_t i = 0; i < route->nused; i++)
        l.keys.candidate[route->used[i] - b->c->modules] = true;
    if (route->root.n || route->site->root.n)
        l.keys.fallback = owner_find_module(b, CS_S("static"));
    bind_level(&l);
    free(l.keys.candidate);
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
