#include "serve/request.h"

#include "base/clock.h"
#include "base/log.h"
#include "http/status.h"
#include "http/uri.h"
#include "serve/access_log.h"
#include "serve/handle.h"
#include "serve/respond.h"

#include <stdio.h>
#include <stdlib.h>

/* Unread body bytes that are read and dropped rather than ending the connection. */
#define DISCARD_MAX (64 * 1024)

#define COLLECT_SMALL 4096
#define COLLECT_AHEAD (256 * 1024)

static void on_patience(struct timer *t);

struct request *request_new(struct conn *c)
{
    struct serve *s = c->serve;
    struct arena a;
    arena_init(&a, &s->arenas);
    struct request *r = arena_zalloc(&a, sizeof *r);
    size_t cap = (size_t)s->limits->max_headers;
    r->head.headers = arena_alloc(&a, cap * sizeof *r->head.headers);
    r->head.headers_cap = cap;
    r->arena = a;
    r->magic = REQUEST_MAGIC;
    r->reading = true;
    r->conn = c;
    r->serve = s;
    r->started_us = clock_us();
    r->id = s->next_id++;
    r->validators.mtime = -1;
    r->promised = -1;
    out_init(&r->out);
    timer_init(&r->patience, on_patience);
    return r;
}

/* ---- What it is ---- */

cs_str request_id(struct request *r)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(&r->arena, 16);
    for (int i = 0; i < 16; i++)
        text[i] = digits[r->id >> (60 - 4 * i) & 15];
    return (cs_str){text, 16};
}

cs_str request_host(struct request *r)
{
    cs_str h = r->head.host;
    size_t i = 0;
    while (i < h.n && str_lower_char(h.p[i]) == h.p[i])
        i++;
    if (i == h.n)
        return h;
    char *low = arena_alloc(&r->arena, h.n);
    for (i = 0; i < h.n; i++)
        low[i] = str_lower_char(h.p[i]);
    return (cs_str){low, h.n};
}

void request_vlog(struct request *r, int level, const char *who, const char *fmt, va_list ap)
{
    if (!log_enabled((enum log_level)level))
        return;
    struct log_pair pairs[8];
    size_t n = 0;
    char id[20];
    snprintf(id, sizeof id, "%016llx", (unsigned long long)r->id);
    if (who)
        pairs[n++] = (struct log_pair){"module", str_of(who)};
    pairs[n++] = (struct log_pair){"client", conn_client(r->conn)};
    pairs[n++] = (struct log_pair){"request_id", str_of(id)};
    if (r->head.method_text.n && !r->refused && !r->reading) {
        pairs[n++] = (struct log_pair){"method", r->head.method_text};
        pairs[n++] = (struct log_pair){"target", r->head.target};
        pairs[n++] = (struct log_pair){"host", r->head.host};
    }
    if (r->route && r->route->label.n)
        pairs[n++] = (struct log_pair){"route", r->route->label};
    log_write_with((enum log_level)level, pairs, n, fmt, ap);
}

void request_log(struct request *r, int level, const char *who, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    request_vlog(r, level, who, fmt, ap);
    va_end(ap);
}

/* ---- Its beginning ---- */

static void set_framing(struct request *r)
{
    const struct http_head *h = &r->head;
    struct serve *s = r->serve;
    int64_t most = s->limits->keepalive_requests;
    r->keep_alive = h->keep_alive && !s->draining && !(most && r->conn->requests >= (uint64_t)most);
    r->no_body = h->method == HTTP_HEAD;
    r->expect_continue = h->expect_continue;
    if (h->chunked) {
        r->body = REQUEST_BODY_CHUNKED;
    } else if (h->content_length > 0) {
        r->body = REQUEST_BODY_LENGTH;
        r->body_left = (uint64_t)h->content_length;
    }
}

/* Answers what no handler ever sees. */
static bool answer_special(struct request *r)
{
    const struct http_head *h = &r->head;
    if (h->method == HTTP_CONNECT) {
        respond_page(r, 501, NULL);
    } else if (h->method == HTTP_TRACE) {
        respond_set_field(r, CS_S("Allow"), CS_S("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
                          false);
        respond_page(r, 405, NULL);
    } else if (h->form == HTTP_ASTERISK_FORM) {
        respond_set_field(r, CS_S("Allow"), CS_S("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
                          false);
        respond(r, 200, NULL, (struct respond_body){.fd = -1});
    } else {
        return false;
    }
    return true;
}

static bool set_path(struct request *r)
{
    const char *error = "";
    char *path = arena_alloc(&r->arena, r->head.target_path.n + 1);
    long n = http_path_normalise(r->head.target_path, path, &error);
    if (n < 0) {
        request_log(r, CS_INFO, NULL, "request refused with %ld: %s", -n, error);
        serve_count_one(r->serve, IPC_BAD_REQUEST);
        respond_page(r, (int)-n, NULL);
        return false;
    }
    r->path = (cs_str){path, (size_t)n};
    return true;
}

static bool find_route(struct request *r)
{
    struct serve *s = r->serve;
    const struct router *router = s->plan->router;
    const struct conf_listen *listen = s->plan->listeners[r->conn->listener].conf;
    cs_str host = router_needs_host(router) ? request_host(r) : r->head.host;
    const char *error = "";
    r->route = router_find(router_site(router, listen, host), r->path, &error);
    if (r->route)
        return true;
    request_log(r, CS_ERR, NULL, "%s", error);
    respond_page(r, 500, NULL);
    return false;
}

void request_begin(struct request *r)
{
    int64_t most = r->serve->limits->max_body;
    set_framing(r);
    if (most && r->body == REQUEST_BODY_LENGTH && r->body_left > (uint64_t)most) {
        serve_count_one(r->serve, IPC_LIMIT_BODY);
        request_log(r, CS_INFO, NULL, "body of %llu bytes refused: [limits] max_body is %lld",
                    (unsigned long long)r->body_left, (long long)most);
        respond_refuse(r, 413);
    } else if (!answer_special(r) && set_path(r) && find_route(r)) {
        handle_run(r);
    }
}

/* ---- Its body ---- */

bool request_hungry(const struct request *r)
{
    return r->body != REQUEST_BODY_NONE && !r->paused && r->sink != REQUEST_SINK_WAIT;
}

/* Room for `need` bytes of collected body. A short one of known length lies in the arena, others on
 * the heap, which is taken as the bytes come: a client may announce what it likes. */
static bool make_room(struct request *r, size_t need)
{
    uint64_t all = r->body == REQUEST_BODY_LENGTH ? need + r->body_left : UINT64_MAX;
    size_t twice = 2 * r->collected_cap;
    if (need <= r->collected_cap)
        return true;
    if (!r->collected_cap && all <= COLLECT_SMALL) {
        r->collected.p = arena_alloc(&r->arena, (size_t)all);
        r->collected_cap = (size_t)all;
        return true;
    }
    size_t cap = twice > need ? twice : need;
    if (all < COLLECT_AHEAD || all < cap)
        cap = (size_t)all;
    char *p = realloc(r->heap, cap);
    if (!p)
        return false;
    r->heap = p;
    r->collected.p = p;
    r->collected_cap = cap;
    return true;
}

/* Appends to the collected body. 0 or minus a status. */
static int collect(struct request *r, cs_str data)
{
    int64_t most = r->serve->limits->max_body;
    size_t need = r->collected.n + data.n;
    if (most && need > (uint64_t)most)
        return -413;
    if (!make_room(r, need)) {
        request_log(r, CS_ERR, NULL, "no memory for a body of %zu bytes", need);
        return -503;
    }
    memcpy((char *)(uintptr_t)r->collected.p + r->collected.n, data.p, data.n);
    r->collected.n = need;
    return 0;
}

static int tell(struct request *r, cs_str data, int last)
{
    r->delivering = true;
    int rc = r->on_data(request_public(r), data, last, r->on_data_arg);
    r->delivering = false;
    if (timer_is_set(&r->patience)) /* it is at work */
        timer_set(&r->serve->loop->timers, &r->patience,
                  (uint64_t)r->serve->limits->handler_timeout);
    if (rc == CS_AGAIN && r->sink == REQUEST_SINK_STREAM) {
        r->paused = true;
    } else if (rc == CS_AGAIN) {
        rc = CS_OK; /* it has answered: the rest of the body is dropped */
    } else if (rc < 0) {
        r->sink = REQUEST_SINK_DISCARD;
        if (r->answered)
            respond_abort(r);
        else
            respond_page(r, 500, NULL);
    }
    return rc;
}

/* Turned away, it is like a chunked body of which only the end is still to be told. */
int request_deliver_empty(struct request *r)
{
    int rc = r->on_data(request_public(r), (cs_str){"", 0}, 1, r->on_data_arg);
    if (rc == CS_AGAIN && !r->complete) {
        r->body = REQUEST_BODY_CHUNKED;
        r->body_ended = true;
        r->paused = true;
    }
    return rc < 0 && rc != CS_AGAIN ? rc : CS_OK;
}

/* One slice to wherever it goes. 0: taken, CS_AGAIN: not taken, < -99: minus a status. */
static int deliver(struct request *r, cs_str data, int last)
{
    switch (r->sink) {
    case REQUEST_SINK_COLLECT:
        return data.n ? collect(r, data) : 0;
    case REQUEST_SINK_STREAM:
        return tell(r, data, last) == CS_AGAIN ? CS_AGAIN : 0;
    case REQUEST_SINK_DISCARD:
        if (r->body_seen > DISCARD_MAX)
            r->keep_alive = false;
        return 0;
    case REQUEST_SINK_WAIT:
        break;
    }
    return CS_AGAIN;
}

static void body_is_over(struct request *r)
{
    r->body = REQUEST_BODY_NONE;
    if (r->sink == REQUEST_SINK_COLLECT)
        handle_run(r);
}

static long feed_length(struct request *r, const char *in, size_t n)
{
    size_t part = n < r->body_left ? n : (size_t)r->body_left;
    if (!part)
        return 0;
    uint64_t left = r->body_left;
    r->body_left -= part;
    int rc = deliver(r, (cs_str){in, part}, r->body_left == 0);
    if (rc == CS_AGAIN) {
        r->body_left = left;
        return 0;
    }
    if (rc < 0)
        return rc;
    r->body_seen += part;
    if (!r->body_left)
        body_is_over(r);
    return (long)part;
}

/* Of the chunked coding: the end has been read, on_data may have to be told (again). */
static void finish_chunked(struct request *r)
{
    if (r->sink == REQUEST_SINK_STREAM && tell(r, (cs_str){"", 0}, 1) == CS_AGAIN)
        return;
    body_is_over(r);
}

static long feed_chunked(struct request *r, const char *in, size_t n)
{
    if (r->body_ended) {
        finish_chunked(r);
        return 0;
    }
    int64_t most = r->serve->limits->max_body;
    struct http_chunked before = r->chunked;
    cs_str data;
    size_t used;
    int rc = http_chunked_next(&r->chunked, in, n, &used, &data);
    if (rc < 0) {
        request_log(r, CS_INFO, NULL, "body refused with %d: %s", -rc, r->chunked.error);
        return rc;
    }
    if (rc == HTTP_CHUNKED_DATA) {
        if (most && r->chunked.total > (uint64_t)most && r->sink != REQUEST_SINK_DISCARD)
            return -413;
        int took = deliver(r, data, 0);
        if (took == CS_AGAIN) {
            r->chunked = before;
            return 0;
        }
        if (took < 0)
            return took;
        r->body_seen += data.n;
    } else if (rc == HTTP_CHUNKED_DONE) {
        r->body_ended = true;
        finish_chunked(r);
    }
    return (long)used;
}

long request_feed(struct request *r, const char *in, size_t n)
{
    if (r->complete && !r->keep_alive) {
        r->conn->unread = true;
        r->body = REQUEST_BODY_NONE;
        return 0;
    }
    if (r->body == REQUEST_BODY_LENGTH)
        return feed_length(r, in, n);
    return n || r->body_ended ? feed_chunked(r, in, n) : 0;
}

/* ---- Its end ---- */

/* It may ask again at once without sending: that is looked at in the next turn of the loop. */
void request_drained(struct request *r)
{
    cs_req_cb cb = r->on_drain;
    if (!cb || r->out.queued || r->complete)
        return;
    r->on_drain = NULL;
    cb(request_public(r), r->on_drain_arg);
}

/* While the body arrives it is the client that takes its time, and body_timeout that watches it. */
static void on_patience(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, patience);
    MAGIC_CHECK(r, REQUEST_MAGIC);
    if (request_hungry(r)) {
        timer_set(&r->serve->loop->timers, t, (uint64_t)r->serve->limits->handler_timeout);
        return;
    }
    serve_count_one(r->serve, IPC_TIMEOUT_HANDLER);
    const char *who =
        r->link < r->route->nlinks ? r->route->chain[r->link].module->desc->name : NULL;
    request_log(r, CS_ERR, who, "no answer within [limits] handler_timeout");
    r->timed_out = true;
    respond_page(r, 504, NULL);
    conn_wake(r->conn);
}

static void drop_token(struct request *r)
{
    struct request **at = &r->serve->tokens[r->id % SERVE_TOKENS];
    while (*at != r)
        at = &(*at)->token_next;
    *at = r->token_next;
}

static void count(struct request *r)
{
    struct serve *s = r->serve;
    serve_count_one(s, IPC_REQUESTS);
    if (r->status >= 100 && r->status < 600)
        serve_count_one(s, (enum ipc_counter)(IPC_STATUS_1XX + r->status / 100 - 1));
    if (r->cut && !(r->complete && !r->out.queued))
        serve_count_one(s, IPC_CLIENT_GONE);
}

void request_end(struct request *r)
{
    struct timer_wheel *timers = &r->serve->loop->timers;
    /* A head that never came whole is no request. */
    if (!r->reading) {
        if (!r->answered)
            r->status = 499;
        count(r);
        if (r->serve->access)
            access_log_add(r->serve->access, r);
    }
    if (r->has_token)
        drop_token(r);
    timer_clear(timers, &r->patience);
    for (struct request_timer *t = r->timers; t; t = t->next)
        timer_clear(timers, &t->timer);
    out_drop(&r->out);
    for (struct request_closer *c = r->closers; c; c = c->next)
        c->cb(c->arg);
    inbuf_release(r->serve, r->in);
    free(r->heap);
    r->magic = 0;
    struct arena a = r->arena;
    arena_drop(&a);
}
