#include "serve/near.h"

#define LETTERS 2 /* so many may differ */
#define TYPOS                                                                                      \
    3 /* so many are shown: with routes such as /old1, /old2 ... all are near each other */
#define SHORT 5 /* bytes: of less two letters are nearly everything */

static const char typo[] = "the paths differ by a letter or two";

static bool starts_nocase(cs_str s, cs_str with)
{
    return s.n >= with.n && str_eq_nocase((cs_str){s.p, with.n}, with);
}

static bool ends_segment(cs_str path, size_t n)
{
    return n == path.n || path.p[n] == '/' || (n && path.p[n - 1] == '/');
}

static bool is_typo(cs_str x, cs_str y)
{
    return x.n >= SHORT && y.n >= SHORT && str_distance(x, y, LETTERS) <= LETTERS;
}

/* "/x" and "/x/". */
static bool is_slash_off(cs_str x, cs_str y)
{
    return x.n == y.n + 1 && x.p[y.n] == '/' && str_starts(x, y);
}

static const char *near_exact(cs_str match, cs_str path)
{
    if (is_slash_off(path, match))
        return "it is that path without the / at the end, and nothing else";
    if (is_slash_off(match, path))
        return "it is that path with a / at the end, and nothing else";
    if (str_eq_nocase(match, path))
        return "it is written otherwise: upper and lower case differ in paths";
    if (str_starts(path, match) && match.n > 1 && ends_segment(path, match.n))
        return "it is that path and nothing below it: that would be a match without the =";
    if (is_typo(match, path))
        return typo;
    return NULL;
}

/* As many bytes of the path as there are segments in the match. */
static cs_str same_depth(cs_str path, cs_str match)
{
    size_t slashes = 0, i;

    for (i = 0; i < match.n; i++)
        slashes += match.p[i] == '/' && i + 1 < match.n;
    for (i = 0; i < path.n; i++)
        if (path.p[i] == '/' && slashes-- == 0)
            break;
    return (cs_str){path.p, i};
}

static const char *near_prefix(cs_str match, cs_str path, bool *behind)
{
    bool whole = path.n >= match.n && ends_segment(path, match.n);
    cs_str bare = {match.p, match.n && match.p[match.n - 1] == '/' ? match.n - 1 : match.n};

    if (str_starts(path, match) && whole) {
        *behind = true;
        return "it matches too, but another one comes first: exact ones, then regexes, then the "
               "longest prefix";
    }
    if (str_starts(path, match))
        return "prefixes end where a segment of the path does";
    if (is_slash_off(match, path))
        return "it is only for what is below: write it without the / at the end for both";
    if (starts_nocase(path, match) && whole)
        return "it is written otherwise: upper and lower case differ in paths";
    if (is_typo(bare, same_depth(path, bare)))
        return typo;
    return NULL;
}

const char *near_why(enum conf_match kind, cs_str match, cs_str path, bool *behind)
{
    *behind = false;
    switch (kind) {
    case CONF_MATCH_EXACT:
        return near_exact(match, path);
    case CONF_MATCH_PREFIX:
        return near_prefix(match, path, behind);
    default:
        return NULL;
    }
}

/* Since the search for this path began. */
static bool knows(const struct trace *t, const struct conf_route *c)
{
    bool found = false;

    for (const struct trace_step *s = t->first; s; s = s->next)
        if (s->what == TRACE_PATH)
            found = false;
        else if (s->what == TRACE_ROUTE && s->route->conf == c)
            found = true;
    return found;
}

void near_routes(struct trace *t, const struct serve_plan *plan, const struct conf_site *site,
                 const struct route *taken, cs_str path)
{
    const struct conf *conf = plan->conf;
    /* Who has named that very path has meant it. */
    size_t typos = taken && taken->conf && taken->conf->match_kind == CONF_MATCH_EXACT ? TYPOS : 0;

    for (size_t i = 0; i < conf->nroutes && path.n; i++) {
        const struct conf_route *c = &conf->routes[i];
        const struct route *r;
        const char *why;
        bool behind;

        if (c->site != site || (taken && taken->conf == c) || knows(t, c))
            continue;
        why = near_why(c->match_kind, c->match_arg, path, &behind);
        if (why == typo && typos++ >= TYPOS)
            continue;
        r = why ? router_route(plan->router, site->head.label, c->head.label) : NULL;
        if (r)
            trace_route(t, r, behind ? TRACE_BEHIND : TRACE_NEAR, NULL, "%s", why);
    }
}
