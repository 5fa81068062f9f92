#include "serve/route.h"

#include "serve/plan.h"
#include "serve/prefix.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

/* A pattern that needs more than this for one path is a mistake, or an attack on it. */
#define MATCH_LIMIT 100000
#define HEAP_KIB    1024
#define JIT_STACK   (512 * 1024)

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    const struct route *route;
};

struct router_site {
    const struct conf_site *conf;
    const struct router *router;
    struct route root; /* where no route fits */
    size_t nroutes, npatterns;
    struct route *routes;
    struct pattern *patterns;
    struct prefix exact, prefix;
};

struct router {
    struct arena arena;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
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

static pcre2_code *compile(const struct conf_route *c, struct report *rep)
{
    int error;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[160];
    cs_str text = c->match_arg;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text.p, text.n, PCRE2_UTF, &error, &at, NULL);
    if (code)
        return code;
    pcre2_get_error_message(error, why, sizeof why);
    report_error(rep, &c->match_at, (int)c->match.n,
                 "match: bad regex \"%.*s\": %s at character %zu", CS_F(text), (const char *)why,
                 at + 1);
    return NULL;
}

static void add_pattern(struct router_site *s, const struct route *r, struct report *rep)
{
    pcre2_code *code = compile(r->conf, rep);
    if (!code)
        return;
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    s->patterns[s->npatterns++] = (struct pattern){
        .code = code, .data = pcre2_match_data_create_from_pattern(code, NULL), .route = r};
}

void router_check(const struct conf *conf, struct report *rep)
{
    for (size_t i = 0; i < conf->nroutes; i++) {
        const struct conf_route *c = &conf->routes[i];
        if (c->match_kind == CONF_MATCH_REGEX && c->match_arg.n)
            pcre2_code_free(compile(c, rep));
    }
}

static const struct route *match_patterns(const struct router_site *s, cs_str path,
                                          const char **error)
{
    for (size_t i = 0; i < s->npatterns; i++) {
        const struct pattern *p = &s->patterns[i];
        int rc = pcre2_match(p->code, (PCRE2_SPTR)path.p, path.n, 0, PCRE2_NO_UTF_CHECK, p->data,
                             s->router->limits);
        if (rc >= 0)
            return p->route;
        if (rc != PCRE2_ERROR_NOMATCH) {
            *error = "a route's regex gave up on this path: it ran into its match limit";
            return NULL;
        }
    }
    return &s->root;
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
    s->patterns = arena_zalloc(&ro->arena, (n + 1) * sizeof *s->patterns);
    prefix_init(&s->exact, &ro->arena, n);
    prefix_init(&s->prefix, &ro->arena, n);
    make_route(ro, conf, plan, &s->root, site, NULL);
    for (size_t i = 0; i < conf->nroutes; i++) {
        const struct conf_route *c = &conf->routes[i];
        if (c->site != site)
            continue;
        struct route *r = &s->routes[s->nroutes++];
        make_route(ro, conf, plan, r, site, c);
        if (c->match_kind == CONF_MATCH_EXACT)
            prefix_add(&s->exact, c->match_arg, r);
        else if (c->match_kind == CONF_MATCH_PREFIX)
            prefix_add(&s->prefix, c->match_arg, r);
        else
            add_pattern(s, r, rep);
    }
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

const struct route *router_find(const struct router_site *s, cs_str path, const char **error)
{
    const struct route *r = NULL;
    if (!s->nroutes)
        return &s->root;
    r = prefix_exact(&s->exact, path);
    if (r)
        return r;
    r = match_patterns(s, path, error);
    if (r != &s->root)
        return r;
    r = prefix_longest(&s->prefix, path);
    return r ? r : &s->root;
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
    ro->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(ro->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(ro->limits, HEAP_KIB);
    ro->stack = pcre2_jit_stack_create(32 * 1024, JIT_STACK, NULL);
    pcre2_jit_stack_assign(ro->limits, NULL, ro->stack);
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
    for (size_t i = 0; i < r->nsites; i++) {
        for (size_t k = 0; k < r->sites[i].npatterns; k++) {
            pcre2_match_data_free(r->sites[i].patterns[k].data);
            pcre2_code_free(r->sites[i].patterns[k].code);
        }
    }
    pcre2_match_context_free(r->limits);
    pcre2_jit_stack_free(r->stack);
    struct arena a = r->arena;
    arena_drop(&a);
}
