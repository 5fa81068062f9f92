/* participants.c - who takes part in the requests of a site or a route: `use` and `handler`. The order in which modules are
 * named is the order in which they meet a request, so a name stands once. */
#include "base/mem.h"
#include "conf/bind.h"

#include <stdlib.h>

/* The list that is looked at. */
struct names {
    struct bind *b;
    const struct conf_section *s;
    const char *key;
    const cs_list *list;
};

bool participants_usable(const cs_module *desc)
{
    return desc->access || desc->header_filter || desc->body_filter || desc->on_log;
}

bool participants_is_name(cs_str s)
{
    if (!s.n || s.n > 31 || s.p[0] < 'a' || s.p[0] > 'z')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
              s.p[i] == '_'))
            return false;
    return true;
}

__attribute__((format(printf, 3, 4))) static void refuse(const struct names *l, size_t i,
                                                         const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    value_vrefuse(l->b, l->s, l->key, i, l->list->v[i], fmt, ap);
    va_end(ap);
}

static void no_such_module(const struct names *l, size_t i, cs_str name)
{
    const struct conf *c = l->b->c;
    cs_str *names = mem_alloc((c->nmodules + 1) * sizeof *names);
    struct buf tail = {0};

    for (size_t k = 0; k < c->nmodules; k++)
        names[k] = c->modules[k].head.label;
    keys_did_you_mean(name, names, c->nmodules, &tail);
    if (participants_is_name(name))
        refuse(l, i, "the module \"%.*s\" is not loaded; load it with [module:%.*s]%s", CS_F(name),
               CS_F(name), tail.n ? tail.p : "");
    else
        refuse(l, i, "\"%.*s\" is no name of a module%s", CS_F(name),
               memchr(name.p, ' ', name.n) ? "; names are separated by commas"
               : tail.n                    ? tail.p
                                           : "");
    buf_free(&tail);
    free(names);
}

static bool is_named(const cs_list *list, size_t n, cs_str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list->v[i], name))
            return true;
    return false;
}

/* The module that element i names (`name` without its sign), once. NULL: reported. */
static const struct conf_module *find(const struct names *l, size_t i, cs_str name)
{
    if (is_named(l->list, i, l->list->v[i])) {
        refuse(l, i, "\"%.*s\" is named twice", CS_F(l->list->v[i]));
        return NULL;
    }
    for (size_t k = 0; k < l->b->c->nmodules; k++)
        if (str_eq(l->b->c->modules[k].head.label, name))
            return &l->b->c->modules[k];
    no_such_module(l, i, name);
    return NULL;
}

static bool has(const struct conf_module *const *all, size_t n, const struct conf_module *m)
{
    for (size_t i = 0; i < n; i++)
        if (all[i] == m)
            return true;
    return false;
}

/* ---- handler ---- */

static void bind_handlers(struct bind *b, struct conf_route *r, const struct conf_section *s)
{
    const struct names l = {b, s, "handler", &r->handler};

    r->handlers = arena_alloc(&b->c->arena, (r->handler.n + 1) * sizeof *r->handlers);
    for (size_t i = 0; i < r->handler.n; i++) {
        const struct conf_module *m = find(&l, i, r->handler.v[i]);

        if (m && m->desc && !m->desc->handler)
            refuse(&l, i, "the module \"%.*s\" answers no requests, it cannot be a handler%s",
                   CS_F(r->handler.v[i]),
                   participants_usable(m->desc) ? "; write it behind \"use\"" : "");
        else if (m)
            r->handlers[r->nhandlers++] = m;
    }
    if (!r->handler.n && !r->root.n && !r->site->root.n && !r->rewrite->text.n)
        report_error(b->rep, &s->at, (int)s->label.n + 8,
                     "[route:%s] needs a \"handler\" or a \"root\"; its site has no root either",
                     s->label.p);
}

/* ---- use ---- */

/* Has the module a hook that a request of others meets? Reports it when not. */
static bool check_hooks(const struct names *l, size_t i, const struct conf_module *m)
{
    if (!m->desc || participants_usable(m->desc))
        return true;
    refuse(l, i, "the module \"%s\" has no hook for that (access, filters, on_log)%s",
           m->head.label.p,
           m->desc->handler ? "; it answers requests: write it behind \"handler\" of a route" : "");
    return false;
}

static bool is_minus(cs_str name)
{
    return name.n && name.p[0] == '-';
}

void participants_site(struct bind *b, struct conf_site *site, const struct conf_section *s)
{
    const struct names l = {b, s, "use", &site->use};

    site->used = arena_alloc(&b->c->arena, (site->use.n + 1) * sizeof(struct conf_module *));
    for (size_t i = 0; i < site->use.n; i++) {
        cs_str name = site->use.v[i];
        const struct conf_module *m;

        if (is_minus(name)) {
            refuse(&l, i, "\"%.*s\" would take away what the site uses: that is for a [route:...]",
                   CS_F(name));
            continue;
        }
        m = find(&l, i, name);
        if (m && check_hooks(&l, i, m))
            site->used[site->nused++] = m;
    }
}

/* Takes a module of the site off the route's list: "-name". */
static void take_away(const struct names *l, size_t i, struct conf_route *r)
{
    cs_str name = {l->list->v[i].p + 1, l->list->v[i].n - 1};
    const struct conf_module *m = find(l, i, name);
    size_t k = 0;

    if (!m)
        return;
    if (!has(r->site->used, r->site->nused, m)) {
        refuse(l, i, "[site:%s] does not use \"%.*s\", so there is nothing to take away",
               r->site->head.label.p, CS_F(name));
        return;
    }
    while (k < r->nused && r->used[k] != m)
        k++;
    if (k == r->nused)
        return;
    for (r->nused--; k < r->nused; k++)
        r->used[k] = r->used[k + 1];
}

static void add_used(const struct names *l, size_t i, struct conf_route *r)
{
    const struct conf_module *m = find(l, i, l->list->v[i]);

    if (!m || !check_hooks(l, i, m))
        return;
    if (has(r->used, r->nused, m))
        refuse(l, i, "[site:%s] uses \"%s\" for all of its routes already; leave it out here",
               r->site->head.label.p, m->head.label.p);
    else if (has(r->handlers, r->nhandlers, m))
        refuse(l, i,
               "\"%s\" is a handler of this route, and takes part with all its hooks; leave it out "
               "here",
               m->head.label.p);
    else
        r->used[r->nused++] = m;
}

void participants_route(struct bind *b, struct conf_route *r, const struct conf_section *s)
{
    const struct names l = {b, s, "use", &r->use};
    const struct conf_site *site = r->site;

    bind_handlers(b, r, s);
    r->used =
        arena_alloc(&b->c->arena, (site->nused + r->use.n + 1) * sizeof(struct conf_module *));
    for (size_t i = 0; i < site->nused; i++)
        if (!has(r->handlers, r->nhandlers, site->used[i]))
            r->used[r->nused++] = site->used[i];
    for (size_t i = 0; i < r->use.n; i++)
        if (is_minus(r->use.v[i]))
            take_away(&l, i, r);
    for (size_t i = 0; i < r->use.n; i++)
        if (!is_minus(r->use.v[i]))
            add_used(&l, i, r);
}
