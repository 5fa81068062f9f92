#include "serve/lookup.h"

#include "base/check.h"
#include "base/mem.h"
#include "serve/literal.h"
#include "serve/prefix.h"
#include "serve/route.h"
#include "serve/shortlist.h"

#include <stdio.h>
#include <stdlib.h>

struct lookup {
    const struct demand_methods *methods;
    struct prefix exact, prefix;
    struct shortlist regexes;
    const struct route **patterns; /* those of the shortlist's numbers */
    size_t npatterns;
};

/* ---- Making it ---- */

static void add_key(struct prefix *table, struct route *r)
{
    struct route *first = (struct route *)prefix_exact(table, r->conf->match_arg);
    if (!first) {
        prefix_add(table, r->conf->match_arg, r);
        first = r;
    } else {
        first->last->same = r;
    }
    first->last = r;
}

static void add_patterns(struct lookup *l, struct arena *a, const struct route *routes, size_t n)
{
    cs_str *beginnings = mem_alloc((n + 1) * sizeof *beginnings);
    l->patterns = arena_alloc(a, (n + 1) * sizeof *l->patterns);
    for (size_t i = 0; i < n; i++) {
        cs_str text = routes[i].conf->match_arg;
        if (routes[i].conf->match_kind != CONF_MATCH_REGEX)
            continue;
        char *begin = arena_alloc(a, text.n + 1);
        beginnings[l->npatterns] = (cs_str){begin, literal_of(text, begin)};
        l->patterns[l->npatterns++] = &routes[i];
    }
    shortlist_init(&l->regexes, a, beginnings, l->npatterns);
    free(beginnings);
}

struct lookup *lookup_new(struct arena *a, const struct demand_methods *methods,
                          struct route *routes, size_t n)
{
    struct lookup *l = arena_zalloc(a, sizeof *l);
    size_t kinds[3] = {0};
    l->methods = methods;
    for (size_t i = 0; i < n; i++)
        kinds[routes[i].conf->match_kind]++;
    prefix_init(&l->exact, a, kinds[CONF_MATCH_EXACT]);
    prefix_init(&l->prefix, a, kinds[CONF_MATCH_PREFIX]);
    for (size_t i = 0; i < n; i++)
        if (routes[i].conf->match_kind != CONF_MATCH_REGEX)
            add_key(routes[i].conf->match_kind == CONF_MATCH_EXACT ? &l->exact : &l->prefix,
                    &routes[i]);
    add_patterns(l, a, routes, n);
    return l;
}

/* ---- Searching ---- */

struct search {
    const struct lookup *lookup;
    const struct route_ask *ask;
    struct route_found *found;
    enum lookup_result result;
};

/* Is nothing left to be found out? Who is traced learns of those behind too. */
static bool over(const struct search *s)
{
    return (s->result == LOOKUP_FOUND && !s->ask->trace) || s->result == LOOKUP_GAVE_UP;
}

static void give_up(struct search *s, const struct route *r, const struct conf_origin *at)
{
    trace_route(s->ask->trace, r, TRACE_GAVE_UP, at, "its regex ran into its limits");
    if (s->result == LOOKUP_FOUND)
        return;
    s->result = LOOKUP_GAVE_UP;
    s->found->route = r;
    s->found->at = at;
}

static void trace_groups(const struct search *s, const struct route *r)
{
    struct trace *t = s->ask->trace;
    cs_str name;
    size_t group;
    for (size_t i = 1; i < s->found->ngroups; i++) {
        char number[24];
        cs_str key = {number, (size_t)snprintf(number, sizeof number, "%zu", i)};
        for (size_t k = 0; pattern_name(r->pattern, k, &name, &group); k++)
            key = group == i ? name : key;
        trace_add(t, TRACE_CAPTURE, key, "%.*s", CS_F(s->found->groups[i]));
    }
}

static const char *kind_of(const struct route *r)
{
    return r->conf->match_kind == CONF_MATCH_EXACT   ? "exact"
           : r->conf->match_kind == CONF_MATCH_REGEX ? "regex"
                                                     : "prefix";
}

static const char *why_behind(const struct route *first, const struct route *r)
{
    if (first->conf->match_kind != r->conf->match_kind)
        return first->conf->match_kind == CONF_MATCH_EXACT ? "exact matches come first"
                                                           : "regexes come before prefixes";
    if (first->conf->match_kind == CONF_MATCH_PREFIX &&
        first->conf->match_arg.n != r->conf->match_arg.n)
        return "a longer prefix comes first";
    return "it stands behind it in the file";
}

static void take(struct search *s, const struct route *r)
{
    struct route_found *f = s->found;
    struct trace *t = s->ask->trace;
    if (s->result == LOOKUP_FOUND) {
        trace_route(t, r, TRACE_BEHIND, NULL, "it would fit too, but %s", why_behind(f->route, r));
        return;
    }
    s->result = LOOKUP_FOUND;
    f->route = r;
    if (r->pattern) {
        cs_str *groups = arena_alloc(s->ask->arena, pattern_ngroups(r->pattern) * sizeof *groups);
        pattern_groups(r->pattern, s->ask->path, groups);
        f->groups = groups;
        f->ngroups = pattern_ngroups(r->pattern);
    }
    if (!t)
        return;
    trace_route(t, r, TRACE_TAKEN, NULL, "%s match", kind_of(r));
    if (r->pattern)
        trace_groups(s, r);
}

static void trace_demand(const struct search *s, const struct route *r, enum demand_result result,
                         const struct demand_test *test)
{
    static const enum trace_verdict verdicts[] = {[DEMAND_METHOD] = TRACE_METHOD,
                                                  [DEMAND_HEADER] = TRACE_HEADER,
                                                  [DEMAND_QUERY] = TRACE_QUERY,
                                                  [DEMAND_CLIENT] = TRACE_CLIENT};
    const struct conf_origin *at = test                      ? &test->conf->at
                                   : result == DEMAND_CLIENT ? r->demand->clients_at
                                                             : r->demand->methods_at;
    struct buf why = {0};
    demand_why(result, test, s->ask, &why);
    trace_route(s->ask->trace, r, verdicts[result], at, "%s", why.p);
    buf_free(&why);
}

/* Its path fits. */
static void consider(struct search *s, const struct route *r)
{
    const struct demand_test *test = NULL;
    enum demand_result result =
        r->demand ? demand_try(r->demand, s->lookup->methods, s->ask, &test) : DEMAND_HOLDS;
    if (result == DEMAND_HOLDS) {
        take(s, r);
    } else if (result == DEMAND_GAVE_UP) {
        give_up(s, r, &test->conf->at);
    } else {
        if (result == DEMAND_METHOD && s->result != LOOKUP_FOUND) {
            s->result = LOOKUP_METHOD;
            s->found->allowed |= r->demand->methods;
        }
        if (s->ask->trace)
            trace_demand(s, r, result, test);
    }
}

static void consider_all(struct search *s, const struct route *r)
{
    for (; r && !over(s); r = r->same)
        consider(s, r);
}

static void try_patterns(struct search *s)
{
    struct shortlist_walk w;
    long i;
    shortlist_start(&w, &s->lookup->regexes, s->ask->path);
    while (!over(s) && (i = shortlist_next(&w)) >= 0) {
        const struct route *r = s->lookup->patterns[i];
        enum pattern_result result = pattern_try(r->pattern, s->ask->path);
        if (result == PATTERN_MATCHES)
            consider(s, r);
        else if (result == PATTERN_GAVE_UP)
            give_up(s, r, &r->conf->match_at);
        else if (s->ask->trace)
            trace_route(s->ask->trace, r, TRACE_DIFFERS, NULL, "its regex does not match the path");
    }
}

static void try_prefixes(struct search *s)
{
    struct prefix_walk w;
    const struct route *r;
    prefix_start(&w, &s->lookup->prefix, s->ask->path);
    while (!over(s) && (r = prefix_next(&w)))
        consider_all(s, r);
}

enum lookup_result lookup_find(const struct lookup *l, const struct route_ask *ask,
                               struct route_found *found)
{
    struct search s = {l, ask, found, LOOKUP_NONE};
    *found = (struct route_found){.path = ask->path};
    consider_all(&s, prefix_exact(&l->exact, ask->path));
    if (!over(&s) && l->npatterns)
        try_patterns(&s);
    if (!over(&s))
        try_prefixes(&s);
    return s.result;
}
