#include "serve/route.h"

#include "serve/capture.h"
#include "serve/plan.h"

struct router_site {
    const struct conf_site *conf;
    const struct router *router;
    struct route root; /* where no route fits */
    size_t nroutes;
    struct route *routes;
    struct lookup *lookup;
};

struct router {
    struct arena arena;
    struct pattern_pool *paths, *values; /* regexes of matches, and of conditions */
    struct demand_methods methods;
    size_t nsites, ngates;
    struct router_site *sites;
    const struct conf_listen **listens;
    struct gate **gates; /* of these */
    bool needs_host;
};

/* ---- Chains ---- */

static unsigned root_number(const struct serve_plan *plan, cs_str path)
{
    for (size_t i = 0; i < plan->nroots && path.n; i++)
        if (!strcmp(plan->roots[i].path, path.p))
            return (unsigned)i + 1;
    return 0;
}

static const struct conf_module *static_module(const struct conf *conf)
{
    for (size_t i = 0; i < conf->nmodules; i++)
        if (str_is(conf->modules[i].head.label, "static"))
            return &conf->modules[i];
    return NULL;
}

static unsigned hooks_of(const cs_module *desc)
{
    return (desc->access ? ROUTE_ACCESS : 0u) | (desc->header_filter ? ROUTE_HEADER_FILTER : 0u) |
           (desc->body_filter ? ROUTE_BODY_FILTER : 0u) | (desc->on_log ? ROUTE_LOG : 0u);
}

static void add_link(struct route *r, const struct conf *conf, const struct conf_module *m,
                     const void *const *confs)
{
    for (size_t i = 0; i < r->nlinks; i++)
        if (r->chain[i].module == m)
            return;
    r->chain[r->nlinks++] = (struct route_link){.module = m, .conf = confs[m - conf->modules]};
    r->hooks |= hooks_of(m->desc);
}

static void add_used(struct route *r, const struct conf *conf, const struct conf_site *site,
                     const struct conf_route *route, const void *const *confs)
{
    size_t n = route ? route->nused : site->nused;
    const struct conf_module *const *used = route ? route->used : site->used;
    for (size_t i = 0; i < n; i++)
        add_link(r, conf, used[i], confs);
    r->first_handler = r->nlinks;
}

/* Those in use, the route's handlers, then the files of its root. */
static void make_route(struct router *ro, const struct conf *conf, const struct serve_plan *plan,
                       struct route *r, const struct conf_site *site,
                       const struct conf_route *route)
{
    size_t n = route ? route->nhandlers : 0;
    const void *const *confs = route ? route->module_conf : site->module_conf;
    const struct conf_module *files = static_module(conf);
    *r = (struct route){
        .site = site, .conf = route, .label = route ? route->head.label : (cs_str){"", 0}};
    size_t nused = route ? route->nused : site->nused;
    r->chain = arena_zalloc(&ro->arena, (nused + n + 1) * sizeof *r->chain);
    r->root = root_number(plan, route && route->root.n ? route->root : site->root);
    add_used(r, conf, site, route, confs);
    for (size_t i = 0; i < n; i++)
        add_link(r, conf, route->handlers[i], confs);
    if (r->root && files)
        add_link(r, conf, files, confs);
}

/* ---- Patterns ---- */

static const struct pattern *compile(struct pattern_pool *pool, const struct conf_route *c,
                                     struct report *rep)
{
    struct buf error = {0};
    const struct pattern *p = pattern_new(pool, c->match_arg, &error);
    if (!p)
        report_error(rep, &c->match_at, (int)c->match.n, "match: bad regex \"%.*s\": %s",
                     CS_F(c->match_arg), error.p);
    buf_free(&error);
    return p;
}

void router_check(const struct conf *conf, struct report *rep)
{
    struct router ro = {.paths = pattern_pool_new()};
    arena_init(&ro.arena, NULL);
    for (size_t i = 0; i < conf->nroutes; i++) {
        const struct conf_route *c = &conf->routes[i];
        if (c->match_kind == CONF_MATCH_REGEX && c->match_arg.n)
            compile(ro.paths, c, rep);
        demand_new(&ro.arena, ro.paths, &ro.methods, c, rep);
    }
    pattern_pool_free(ro.paths);
    arena_drop(&ro.arena);
}

/* ---- Sites ---- */

static size_t count_routes(const struct conf *conf, const struct conf_site *site)
{
    size_t n = 0;
    for (size_t i = 0; i < conf->nroutes; i++)
        n += conf->routes[i].site == site;
    return n;
}

static void make_site(struct router *ro, const struct conf *conf, const struct serve_plan *plan,
                      struct router_site *s, const struct conf_site *site, struct report *rep)
{
    size_t n = count_routes(conf, site);
    s->conf = site;
    s->router = ro;
    s->routes = arena_zalloc(&ro->arena, (n + 1) * sizeof *s->routes);
    make_route(ro, conf, plan, &s->root, site, NULL);
    for (size_t i = 0; i < conf->nroutes; i++) {
        const struct conf_route *c = &conf->routes[i];
        if (c->site != site)
            continue;
        struct route *r = &s->routes[s->nroutes++];
        make_route(ro, conf, plan, r, site, c);
        if (c->match_kind == CONF_MATCH_REGEX)
            r->pattern = compile(ro->paths, c, rep);
        r->demand = demand_new(&ro->arena, ro->values, &ro->methods, c, rep);
    }
    for (size_t i = 0; i < n; i++)
        capture_check(conf, &s->routes[i], rep);
    s->lookup = lookup_new(&ro->arena, &ro->methods, s->routes, n);
}

/* ---- Hosts ---- */

const struct router_site *router_site(const struct router *r, const struct conf_listen *listen,
                                      cs_str host, struct gate_answer *why)
{
    size_t i = 0;
    while (r->listens[i] != listen)
        i++;
    struct gate_answer found = gate_find(r->gates[i], host);
    if (why)
        *why = found;
    return &r->sites[found.index];
}

/* ---- */

enum lookup_result router_find(const struct router_site *s, const struct route_ask *ask,
                               struct route_found *found)
{
    enum lookup_result result = lookup_find(s->lookup, ask, found);
    if (result != LOOKUP_NONE)
        return result;
    found->route = &s->root;
    return LOOKUP_FOUND;
}

const struct route *router_root(const struct router_site *s)
{
    return &s->root;
}

void router_allow(const struct router *r, uint64_t allowed, struct buf *out)
{
    demand_allow(&r->methods, allowed, out);
}

const struct route *router_route(const struct router *r, cs_str site, cs_str label)
{
    for (size_t i = 0; i < r->nsites; i++) {
        const struct router_site *s = &r->sites[i];
        if (!str_eq(s->conf->head.label, site))
            continue;
        for (size_t k = 0; k < s->nroutes; k++)
            if (str_eq(s->routes[k].label, label))
                return &s->routes[k];
        return label.n ? NULL : &s->root;
    }
    return NULL;
}

const struct route_link *route_names(const struct route *r, cs_str module)
{
    for (size_t i = 0; i < r->nlinks; i++)
        if (str_eq(r->chain[i].module->head.label, module))
            return &r->chain[i];
    return NULL;
}

bool router_needs_host(const struct router *r)
{
    return r->needs_host;
}

struct router *router_new(const struct conf *conf, const struct serve_plan *plan,
                          struct report *rep)
{
    struct arena a;
    arena_init(&a, NULL);
    struct router *ro = arena_zalloc(&a, sizeof *ro);
    ro->paths = pattern_pool_new();
    ro->values = pattern_pool_new();
    ro->arena = a;
    ro->nsites = conf->nsites;
    ro->sites = arena_zalloc(&ro->arena, (conf->nsites + 1) * sizeof *ro->sites);
    for (size_t i = 0; i < conf->nsites; i++)
        make_site(ro, conf, plan, &ro->sites[i], &conf->sites[i], rep);
    ro->ngates = conf->nlistens;
    ro->gates = arena_zalloc(&ro->arena, (conf->nlistens + 1) * sizeof *ro->gates);
    ro->listens = arena_zalloc(&ro->arena, (conf->nlistens + 1) * sizeof *ro->listens);
    for (size_t i = 0; i < conf->nlistens; i++) {
        ro->listens[i] = &conf->listens[i];
        ro->gates[i] = gate_new(&ro->arena, conf, &conf->listens[i]);
        ro->needs_host = ro->needs_host || gate_needs_host(ro->gates[i]);
    }
    return ro;
}

void router_free(struct router *r)
{
    if (!r)
        return;
    pattern_pool_free(r->paths);
    pattern_pool_free(r->values);
    struct arena a = r->arena;
    arena_drop(&a);
}
