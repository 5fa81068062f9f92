/* required.c - keys of modules against where the modules are used: one that is needed there and set nowhere, and one that
 * is set where nobody reads it. Both are told when everything is bound. */
#include "conf/bind.h"

static bool is_set(const struct conf_head *head, const cs_directive *d)
{
    for (size_t i = 0; i < head->nvalues; i++)
        if (head->values[i].directive == d && head->values[i].text.p)
            return true;
    return false;
}

/* CS_ONE_OF: the next one that would do as well; NULL: there is none. */
static const cs_directive *next_of_them(const cs_directive *d)
{
    if (!(d->flags & CS_ONE_OF))
        return NULL;
    for (d++; d->type != CS_T_END; d++)
        if (d->flags & CS_ONE_OF)
            return d;
    return NULL;
}

/* Is it there, or another one that would do? */
static bool is_given(const struct conf_head *head, const struct conf_module *m,
                     const cs_directive *d)
{
    if (!(d->flags & CS_ONE_OF))
        return is_set(head, d);
    for (d = m->desc->directives; d->type != CS_T_END; d++)
        if (d->flags & CS_ONE_OF && is_set(head, d))
            return true;
    return false;
}

/* The first one speaks for all. */
static bool is_spoken_for(const struct conf_module *m, const cs_directive *d)
{
    const cs_directive *first = m->desc->directives;

    if (!(d->flags & CS_ONE_OF))
        return false;
    while (!(first->flags & CS_ONE_OF))
        first++;
    return first != d;
}

static void describe(const cs_directive *d, struct buf *out)
{
    struct buf takes = {0};

    schema_accepts(d, &takes);
    buf_printf(out, "\"%s\" (%s)", d->name, takes.p);
    buf_free(&takes);
}

static void missing(struct bind *b, const struct conf_head *at, const struct conf_module *m,
                    const cs_directive *d)
{
    struct buf keys = {0};

    describe(d, &keys);
    while ((d = next_of_them(d))) {
        buf_add_z(&keys, " or ");
        describe(d, &keys);
    }
    report_error(b->rep, &at->at, (int)(at->kind.n + at->label.n) + 3,
                 "%s uses the module \"%s\", which needs %s; set it here or in [module:%s]",
                 value_section_name(b, at->kind, at->label), m->head.label.p, keys.p,
                 m->head.label.p);
    buf_free(&keys);
}

static bool has_module(const struct conf_module *const *all, size_t n, const struct conf_module *m)
{
    for (size_t i = 0; i < n; i++)
        if (all[i] == m)
            return true;
    return false;
}

/* Does it need the module's keys itself? What the site uses has to be set there. */
static bool route_needs(const struct conf_route *r, const struct conf_module *m)
{
    return has_module(r->handlers, r->nhandlers, m) ||
           (has_module(r->used, r->nused, m) && !has_module(r->site->used, r->site->nused, m));
}

/* One directive that may be set where the module is used. */
static void required_where_used(struct bind *b, const struct conf_module *m, const cs_directive *d)
{
    bool is_static = str_is(m->head.label, "static");

    for (size_t i = 0; i < b->c->nsites; i++) {
        const struct conf_site *site = &b->c->sites[i];

        bool needs = (is_static && site->root.n) || has_module(site->used, site->nused, m);

        if (needs && !is_given(&site->head, m, d))
            missing(b, &site->head, m, d);
    }
    for (size_t i = 0; i < b->c->nroutes; i++) {
        const struct conf_route *r = &b->c->routes[i];

        if (r->site && route_needs(r, m) && !is_given(&r->head, m, d) &&
            !is_given(&r->site->head, m, d))
            missing(b, &r->head, m, d);
    }
}

void required_check(struct bind *b)
{
    for (size_t i = 0; i < b->c->nmodules; i++) {
        const struct conf_module *m = &b->c->modules[i];

        for (const cs_directive *d = m->desc ? m->desc->directives : NULL; d && d->type != CS_T_END;
             d++) {
            if (!(d->flags & CS_REQUIRED) || is_spoken_for(m, d) || is_given(&m->head, m, d))
                continue;
            if (d->flags & CS_PER_ROUTE)
                required_where_used(b, m, d);
            else
                report_error(b->rep, &m->head.at, (int)m->head.label.n + 9,
                             "[module:%s] has no \"%s\"; it needs one", m->head.label.p, d->name);
        }
    }
}

/* ---- What is set for nobody ---- */

static bool site_has(const struct bind *b, const struct conf_site *site,
                     const struct conf_module *m)
{
    if (has_module(site->used, site->nused, m))
        return true;
    for (size_t i = 0; i < b->c->nroutes; i++) {
        const struct conf_route *r = &b->c->routes[i];

        if (r->site == site &&
            (has_module(r->handlers, r->nhandlers, m) || has_module(r->used, r->nused, m)))
            return true;
    }
    return false;
}

static void unread(struct bind *b, const struct conf_site *site, const struct conf_value *v)
{
    const struct conf_origin *at = &v->origin;
    const char *site_label = site->head.label.p, *name = v->module->head.label.p;

    report_error(b->rep, at, 1,
                 "\"%s\" in [site:%s]: neither the site nor a route of it uses \"%s\", so it would "
                 "do nothing; write use = %s",
                 v->directive->name, site_label, name, name);
}

void required_unread(struct bind *b)
{
    for (size_t i = 0; i < b->c->nsites && !b->rep->errors; i++) {
        const struct conf_site *site = &b->c->sites[i];

        for (size_t k = 0; k < site->head.nvalues; k++) {
            const struct conf_value *v = &site->head.values[k];
            const cs_module *desc = v->module ? v->module->desc : NULL;

            if (desc && participants_usable(desc) && !site_has(b, site, v->module))
                unread(b, site, v);
        }
    }
}
