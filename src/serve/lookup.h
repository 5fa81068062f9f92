/* lookup.h - the routes of one site, made for being found. Exact matches and prefixes are hashed, and of the regexes only those
 * are tried whose literal beginning is the path's: a search costs what fits the path, not what there is. */
#ifndef SERVE_LOOKUP_H
#define SERVE_LOOKUP_H

#include "serve/demand.h"

struct lookup;
struct route;

enum lookup_result {
    LOOKUP_FOUND,
    LOOKUP_NONE,
    LOOKUP_METHOD, /* none, since only the method stands against those that would fit */
    LOOKUP_GAVE_UP /* a regex ran into its limits: that of `route`, at `at` */
};

struct route_found {
    const struct route *route;
    const struct conf_origin *at;
    uint64_t allowed; /* of METHOD: for demand_allow */
    cs_str path;      /* it was found for */
    size_t ngroups;
    const cs_str *groups; /* what its regex has caught, as parts of path */
};

/* Of routes[0..n), in file order, whose `pattern` and `demand` are set; links those with the same match. */
struct lookup *lookup_new(struct arena *a, const struct demand_methods *methods,
                          struct route *routes, size_t n);

/* Exact, then the regexes in file order, then the longest prefix; among the same match the file's order. Whose conditions do
 * not hold is passed over. With a trace also those are looked at that come behind the one that was taken. */
enum lookup_result lookup_find(const struct lookup *l, const struct route_ask *ask,
                               struct route_found *found);

#endif
