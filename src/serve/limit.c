#include "serve/limit.h"

#include "conf/schema.h"
#include "serve/feed.h"
#include "serve/respond.h"

#include <stdio.h>

struct conf_bound limit_bound(const struct request *r, enum conf_limit which)
{
    const struct conf *conf = r->serve->plan->conf;
    return r->route ? conf_limit_of(conf, r->route->site, r->route->conf, which)
                    : conf_limit_of(conf, r->site, NULL, which);
}

int64_t limit_write(const struct conn *c)
{
    const struct route *route = c->feed ? c->feed->route : NULL;
    if (c->first)
        return limit_of(c->first, CONF_WRITE_TIMEOUT);
    return conf_limit_of(c->serve->plan->conf, route ? route->site : NULL,
                         route ? route->conf : NULL, CONF_WRITE_TIMEOUT)
        .value;
}

/* What [limits] says may have changed since the file was read. */
static void add_value(const struct conf *conf, const struct conf_bound *b, struct buf *out)
{
    const struct conf_limits *now = &conf->limits;
    for (size_t i = 0; i < b->head->nvalues; i++) {
        const struct conf_value *v = &b->head->values[i];
        if (strcmp(v->directive->name, b->key) != 0)
            continue;
        if (b->head == &now->head)
            schema_format(v->directive, now, out);
        else
            buf_add_str(out, v->text);
        return;
    }
}

void limit_be_patient(struct request *r)
{
    int64_t most = limit_of(r, CONF_HANDLER_TIMEOUT);
    if (most)
        timer_set(&r->serve->loop->timers, &r->patience, (uint64_t)most);
    else
        timer_clear(&r->serve->loop->timers, &r->patience);
}

void limit_tell(struct request *r, const char *who, enum conf_limit which, const char *what)
{
    struct conf_bound b = limit_bound(r, which);
    struct buf at = {0}, value = {0};
    bool labelled = b.head->label.n > 0;
    add_value(r->serve->plan->conf, &b, &value);
    report_origin(conf_origin_of(b.head, b.key), &at);
    request_log(r, who ? CS_ERR : CS_INFO, who, "%s: %s of [%.*s%s%.*s] is %s (%s)", what, b.key,
                CS_F(b.head->kind), labelled ? ":" : "", CS_F(b.head->label), value.p, at.p);
    buf_free(&value);
    buf_free(&at);
}

bool limit_body_fits(struct request *r)
{
    char what[80];
    uint64_t size = r->body == REQUEST_BODY_LENGTH ? r->body_left : r->collected.n;
    if (!size)
        return true;
    int64_t most = limit_of(r, CONF_MAX_BODY);
    if (!most || size <= (uint64_t)most)
        return true;
    serve_count_one(r->serve, IPC_LIMIT_BODY);
    snprintf(what, sizeof what, "body of %llu bytes refused", (unsigned long long)size);
    limit_tell(r, NULL, CONF_MAX_BODY, what);
    respond_refuse(r, 413);
    return false;
}
