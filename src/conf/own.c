/* own.c - what sites and routes say otherwise than the scopes around them. */
#include "conf/conf.h"

/* Those of [limits] may be changed while the server runs, so they are read where they are. */
static struct conf_bound outermost(const struct conf_limits *l, enum conf_limit which)
{
    switch (which) {
    case CONF_MAX_BODY:
        return (struct conf_bound){l->max_body, "max_body", &l->head};
    case CONF_BODY_TIMEOUT:
        return (struct conf_bound){l->body_timeout, "body_timeout", &l->head};
    case CONF_HANDLER_TIMEOUT:
        return (struct conf_bound){l->handler_timeout, "handler_timeout", &l->head};
    default:
        return (struct conf_bound){l->write_timeout, "write_timeout", &l->head};
    }
}

struct conf_bound conf_limit_of(const struct conf *c, const struct conf_site *site,
                                const struct conf_route *route, enum conf_limit which)
{
    struct conf_bound b = outermost(&c->limits, which);
    if (route && route->own.limit[which] >= 0) {
        b.value = route->own.limit[which];
        b.head = &route->head;
    } else if (site && site->own.limit[which] >= 0) {
        b.value = site->own.limit[which];
        b.head = &site->head;
    }
    return b;
}
