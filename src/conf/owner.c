/* owner.c - see owner.h. On a route a plain key belongs to the participant that declares it, on a site to the only module
 * that does; "module.key" is always possible. */
#include "conf/owner.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct conf_module *module_at(const struct owner_level *l, size_t i)
{
    return &l->b->c->modules[i];
}

static const cs_directive *own_key(const struct owner_level *l, size_t i, cs_str key)
{
    const cs_module *desc = module_at(l, i)->desc;

    return desc ? schema_find(desc->directives, key) : NULL;
}

size_t owner_find_module(const struct bind *b, cs_str name)
{
    size_t i = 0;

    while (i < b->c->nmodules && !str_eq(b->c->modules[i].head.label, name))
        i++;
    return i;
}

/* A module that could not be loaded is reported elsewhere; what may be its keys is not looked at.
 */
static bool any_unloaded(const struct owner_level *l)
{
    if (l->route && l->route->nhandlers < l->route->handler.n)
        return true;
    for (size_t i = 0; i < l->use->n; i++)
        if (l->use->v[i].n && l->use->v[i].p[0] != '-' &&
            owner_find_module(l->b, l->use->v[i]) == l->b->c->nmodules)
            return true;
    for (size_t i = 0; i < l->b->c->nmodules; i++)
        if (l->candidate[i] && !module_at(l, i)->desc)
            return true;
    return false;
}

__attribute__((format(printf, 3, 4))) static void refuse(const struct owner_level *l,
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

static void not_here(const struct owner_level *l, const struct conf_entry *e, size_t module)
{
    const char *name = module_at(l, module)->head.label.p;

    refuse(l, e,
           "this key of the module \"%s\" holds for the whole server; it belongs to [module:%s]",
           name, name);
}

/* What is wrong with a key of a module that takes no part in the requests of a route. */
static const char *no_part(const struct owner_level *l, size_t module)
{
    return participants_usable(module_at(l, module)->desc)
               ? "neither in use nor a handler of this route"
               : "not a handler of this route";
}

/* ---- module.key ---- */

static void unknown_of_module(const struct owner_level *l, const struct conf_entry *e,
                              size_t module, cs_str key)
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

static void unknown_module(const struct owner_level *l, const struct conf_entry *e, cs_str name)
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

static struct owner dotted(const struct owner_level *l, const struct conf_entry *e, const char *dot)
{
    cs_str name = {e->key.p, (size_t)(dot - e->key.p)};
    cs_str key = {dot + 1, e->key.n - name.n - 1};
    struct owner o = {NULL, owner_find_module(l->b, name)};
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

static void ambiguous(const struct owner_level *l, const struct conf_entry *e)
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

static void unknown_plain(const struct owner_level *l, const struct conf_entry *e)
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

static struct owner plain(const struct owner_level *l, const struct conf_entry *e)
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

struct owner owner_of(const struct owner_level *l, const struct conf_entry *e)
{
    const char *dot = memchr(e->key.p, '.', e->key.n);

    return dot ? dotted(l, e, dot) : plain(l, e);
}
