/* own.c - what sites and routes say otherwise than the scopes around them. */
#include "conf/bind.h"

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

/* ---- Logs ---- */

/* What a scope says of its log, with what the scopes around it say. */
struct logging {
    cs_str path;
    int64_t format;
    const struct conf_origin *at;
};

static struct logging with(struct logging outer, const struct conf_own *own,
                           const struct conf_head *head)
{
    if (own->access_log.n) {
        outer.path = own->access_log;
        outer.at = conf_origin_of(head, "access_log");
    }
    if (own->access_format >= 0)
        outer.format = own->access_format;
    return outer;
}

static size_t log_of(struct bind *b, struct logging l)
{
    struct conf *c = b->c;

    if (str_is(l.path, "off"))
        return 0;
    for (size_t i = 0; i < c->nlogs; i++)
        if (str_eq(c->logs[i].path, l.path) && (int64_t)c->logs[i].format == l.format)
            return i + 1;
    if (c->nlogs == CONF_LOGS_MAX) {
        report_error(b->rep, l.at, 1,
                     "access_log: there are more than %d different access logs; let some sites "
                     "share one, the lines of access_format = json name their site",
                     CONF_LOGS_MAX);
        return 0;
    }
    c->logs[c->nlogs] = (struct conf_log){l.path, (enum conf_access_format)l.format, l.at};
    return ++c->nlogs;
}

void own_bind_logs(struct bind *b)
{
    struct conf *c = b->c;
    struct logging server = {c->server.access_log, c->server.access_format,
                             conf_origin_of(&c->server.head, "access_log")};

    c->logs = arena_zalloc(&c->arena, CONF_LOGS_MAX * sizeof *c->logs);
    c->server.log = log_of(b, server);
    for (size_t i = 0; i < c->nsites; i++)
        c->sites[i].own.log = log_of(b, with(server, &c->sites[i].own, &c->sites[i].head));
    for (size_t i = 0; i < c->nroutes; i++) {
        struct conf_route *r = &c->routes[i];
        const struct conf_site *s = r->site;

        r->own.log = s->own.log;
        if (r->own.access_log.n || r->own.access_format >= 0)
            r->own.log = log_of(b, with(with(server, &s->own, &s->head), &r->own, &r->head));
    }
}
