#include "serve/step.h"

#include "serve/body.h"
#include "serve/client.h"
#include "serve/deadline.h"
#include "serve/handle.h"
#include "serve/intake.h"
#include "serve/jump.h"
#include "serve/limit.h"
#include "serve/request.h"
#include "serve/respond.h"

#define QUEUE_MAX 64 /* requests answered between two writes */

/* The balancer's word, once, before all heads. True when the connection has moved on. */
static bool read_preamble(struct conn *c)
{
    long n = client_read_proxy(c);
    if (n < 0)
        c->broken = true;
    if (n <= 0)
        return false;
    c->in_off += (uint32_t)n;
    c->preamble = false;
    return true;
}

/* Of what was refused with that status, as the parsers return it. */
static enum ipc_counter counter_of(long status)
{
    if (status == -413)
        return IPC_LIMIT_BODY;
    return status == -431 || status == -414 ? IPC_LIMIT_HEAD : IPC_BAD_REQUEST;
}

/* Parses the head at in_off. True when the connection has moved on. */
static bool read_head(struct conn *c)
{
    struct serve *s = c->serve;
    struct request *r = c->current;
    if (!r) {
        r = request_new(c);
        c->current = r;
        *c->last = r;
        c->last = &r->next;
        c->queue++;
    }
    /* The limit may have grown since the buffer was made. */
    size_t most = (size_t)s->limits->max_head;
    struct http_limits lim = {.max_head = most < c->in->cap ? most : c->in->cap,
                              .max_uri = (size_t)s->limits->max_uri,
                              .max_headers = r->head.headers_cap};
    long n = http_head_parse(&r->head, intake_at(c), intake_left(c), &lim);
    if (n == 0)
        return false;
    c->requests++;
    deadline_none(c); /* the next head has a limit of its own */
    r->reading = false;
    if (n < 0) {
        r->refused = true;
        serve_count_one(s, counter_of(n));
        request_log(r, CS_INFO, NULL, "request refused with %ld: %s", -n, r->head.error);
        respond_refuse(r, (int)-n);
        return true;
    }
    r->in = c->in;
    c->in->refs++;
    c->in_off += (uint32_t)n;
    request_begin(r);
    return true;
}

static bool begin(struct conn *c)
{
    if (c->last_one || c->broken || c->in_off == c->in_len || c->queue > QUEUE_MAX)
        return false;
    return c->preamble ? read_preamble(c) : read_head(c);
}

/* Its answer is queued, and its body read. */
static bool end(struct conn *c, const struct request *r)
{
    if (!request_over(r))
        return false;
    c->current = NULL;
    c->ahead += r->out.queued;
    if (!r->keep_alive)
        c->last_one = true;
    return true;
}

static bool feed_body(struct conn *c, struct request *r)
{
    long used = body_feed(r, intake_at(c), intake_left(c));
    if (used < 0) {
        serve_count_one(c->serve, counter_of(used));
        if (used == -413)
            limit_tell(r, NULL, CONF_MAX_BODY, "body refused");
        respond_refuse(r, (int)-used);
        return true;
    }
    c->in_off += (uint32_t)used;
    return used > 0 || r->jumping || end(c, r);
}

static bool go_on(struct conn *c, struct request *r)
{
    if (r->proceed)
        handle_proceed(r);
    else if (r->jumping)
        jump_run(r);
    else
        return body_hungry(r) ? feed_body(c, r) : end(c, r);
    return true;
}

/* Most requests take two: what is seldom is kept out of the way. */
bool step_on(struct conn *c)
{
    struct request *r = c->current;
    if (!r || r->reading)
        return begin(c);
    if (r->proceed || r->jumping || !request_body_over(r))
        return go_on(c, r);
    return end(c, r);
}
