/* route.h - from listener, host and path to the modules that take part. Compiled once in the master,
 * read by all.
 *
 * Order within a site: exact, then regexes in file order, then the longest prefix on segment
 * borders; then the site's root; then 404. "/x" matches /x and everything below /x/; "/x/" only
 * what is below. */
#ifndef SERVE_ROUTE_H
#define SERVE_ROUTE_H

#include "conf/conf.h"
#include "serve/gate.h"
#include "serve/lookup.h"

struct serve_plan;

/* A module that takes part in a route's requests, with its settings. */
struct route_link {
    const struct conf_module *module;
    const void *conf;
};

/* Which hooks besides handlers. */
enum route_hook {
    ROUTE_ACCESS = 1,
    ROUTE_HEADER_FILTER = 2,
    ROUTE_BODY_FILTER = 4,
    ROUTE_LOG = 8
};

struct route {
    const struct conf_site *site;
    const struct conf_route *conf; /* NULL: the site's root without a route */
    cs_str label;                  /* "" without a section */
    size_t nlinks, first_handler;
    struct route_link *chain;      /* those in use, and from first_handler on the handlers */
    unsigned hooks;                /* enum route_hook: those that any of them has */
    unsigned root;                 /* index in plan->roots + 1, 0 = none */
    const struct pattern *pattern; /* of a regex, else NULL */
    const struct demand *demand;   /* NULL: none */
    struct route *same, *last; /* the next one with the same match; of the first one: the last */
};

struct router;

/* Compiles the conf's sites and routes; roots are looked up in the plan. Problems go to rep; NULL
 * then. */
struct router *router_new(const struct conf *conf, const struct serve_plan *plan,
                          struct report *rep);
void router_free(struct router *r);
/* Only tries the routes' regexes, of settings that are refused for other reasons already. */
void router_check(const struct conf *conf, struct report *rep);

/* The site that answers for a host (http_host_normalise) on a listener section. Never NULL. *why may be NULL. */
struct router_site;
const struct router_site *router_site(const struct router *r, const struct conf_listen *listen,
                                      cs_str host, struct gate_answer *why);

/* The route for a normalised path: LOOKUP_FOUND, also with the site's root (which has an empty chain where there is nothing), or
 * METHOD or GAVE_UP. */
enum lookup_result router_find(const struct router_site *site, const struct route_ask *ask,
                               struct route_found *found);
/* What answers where no route does. */
const struct route *router_root(const struct router_site *site);
/* "GET, HEAD", of route_found.allowed. */
void router_allow(const struct router *r, uint64_t allowed, struct buf *out);
/* By the labels of its site and its own ("": the site's root); NULL: there is none. */
const struct route *router_route(const struct router *r, cs_str site, cs_str label);
/* The place of a module in it; NULL: it does not take part. */
const struct route_link *route_names(const struct route *r, cs_str module);
/* Would the host matter? False when every listener has one site for all names. */
bool router_needs_host(const struct router *r);

#endif
