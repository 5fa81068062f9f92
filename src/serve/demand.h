/* demand.h - what a route asks of a request besides its path: conditions on method, header fields, query and client. */
#ifndef SERVE_DEMAND_H
#define SERVE_DEMAND_H

#include "base/blocks.h"
#include "conf/conf.h"
#include "http/head.h"
#include "serve/pattern.h"
#include "serve/trace.h"

/* What routes are searched for. */
struct route_ask {
    cs_str path; /* normalised: NUL-terminated UTF-8 */
    enum http_method method;
    cs_str method_text;
    cs_str query;                 /* as sent, or as a rewrite has it */
    const struct http_head *head; /* its fields */
    struct arena *arena;          /* for what is found */
    /* Address of the client, false: it comes by a unix socket; asked only where a route wants to know. */
    bool (*client)(void *arg, struct cidr_addr *out);
    void *client_arg;
    struct trace *trace; /* NULL but for those who want to know more than the route */
};

/* Methods that HTTP does not name, by their bits behind those that it does: one table for all routes. */
#define DEMAND_METHODS (64 - HTTP_OTHER)
struct demand_methods {
    size_t n;
    cs_str names[DEMAND_METHODS];
};

struct demand_test {
    const struct conf_condition *conf;
    const struct pattern *pattern;
};

struct demand {
    uint64_t methods; /* bits; 0: all */
    size_t nheaders, nquery;
    struct demand_test *headers, *query;
    const cs_blocks *clients; /* NULL: all */
    const struct conf_origin *methods_at, *clients_at;
};

enum demand_result {
    DEMAND_HOLDS,
    DEMAND_METHOD, /* all but the method */
    DEMAND_HEADER,
    DEMAND_QUERY,
    DEMAND_CLIENT,
    DEMAND_GAVE_UP
};

/* NULL when the route has no conditions, or (reported) when they are wrong. */
const struct demand *demand_new(struct arena *a, struct pattern_pool *pool,
                                struct demand_methods *methods, const struct conf_route *route,
                                struct report *rep);
/* *test: the condition that does not hold, or whose regex gave up. */
enum demand_result demand_try(const struct demand *d, const struct demand_methods *methods,
                              const struct route_ask *ask, const struct demand_test **test);
/* Why it does not hold: "header X-Beta is missing". For a trace. */
void demand_why(enum demand_result result, const struct demand_test *test,
                const struct route_ask *ask, struct buf *out);
/* "GET, HEAD, POST" */
void demand_allow(const struct demand_methods *methods, uint64_t bits, struct buf *out);

#endif
