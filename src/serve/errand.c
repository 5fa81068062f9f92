#include "serve/errand.h"

#include "base/mem.h"
#include "http/method.h"
#include "http/url.h"
#include "module/crumb.h"
#include "serve/conn.h"
#include "serve/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- Of the worker ---- */

static void on_count(struct upstreams *u, enum upstream_count which, int by)
{
    struct serve *s = u->owner;
    if (which < UPSTREAM_OPEN)
        region_add(s->slot, (enum ipc_counter)(IPC_FETCHES + (int)which), (uint64_t)by);
    else
        atomic_fetch_add_explicit(which == UPSTREAM_OPEN ? &s->slot->fetch_conns
                                                         : &s->slot->fetch_idle,
                                  by, memory_order_relaxed);
}

void errand_open(struct serve *s)
{
    s->names = names_new(s->loop);
    s->upstreams = upstreams_new(s->loop, s->names);
    s->upstreams->on_count = on_count;
    s->upstreams->owner = s;
}

void errand_close(struct serve *s)
{
    upstreams_free(s->upstreams);
    names_free(s->names);
}

/* ---- Telling ---- */

static struct errand *errand_at(struct exchange *x)
{
    return CONTAINER_OF(x, struct errand, exchange);
}

static bool tells(const struct errand *e, enum errand_wait what)
{
    return e->task && e->waits == what;
}

/* From here on it may be gone. */
static void wake(struct errand *e, int result)
{
    struct task *t = e->task;
    e->task = NULL;
    e->waits = ERRAND_NOTHING;
    task_wake(t, result);
}

static bool enter(struct errand *e, uint32_t *was)
{
    if (!request_may_call(e->request, e->module))
        return false;
    *was = request_enter(e->request, e->module, CRUMB_FETCH);
    return true;
}

static void gathered(struct errand *e)
{
    struct errand_gather *g = e->gather;
    e->gather = NULL;
    if (--g->left == 0)
        task_wake(g->task, CS_OK);
}

/* The request's memory, and so e, is there after done: requests end in their connection's turn. But done may have cancelled the
 * task that waits (cs_jump), which then waits no more. */
static void tell_over(struct errand *e)
{
    uint32_t was;
    if (e->done && enter(e, &was)) {
        e->done(request_public(e->request), &e->answer, e->arg);
        crumb_leave(was);
    }
    if (e->task)
        wake(e, CS_OK);
    else if (e->gather)
        gathered(e);
}

static void stop(struct errand *e)
{
    struct loop *loop = e->request->serve->loop;
    struct conn *inner = e->inner;
    timer_clear(&loop->timers, &e->limit);
    list_remove(&e->later.node);
    exchange_drop(&e->exchange);
    if (!inner)
        return;
    e->inner = NULL;
    inner->outer = NULL;
    conn_break(inner);
}

/* The module may show it to anybody, line breaks that the client has sent and all. */
static void say_why(struct errand *e, const char *why)
{
    snprintf(e->why, sizeof e->why, "%s", why);
    for (char *p = e->why; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = '?';
    e->answer.why = str_of(e->why);
}

static void set_over(struct errand *e, int result, const char *why)
{
    stop(e);
    e->over = true;
    e->answer.result = result;
    if (!e->streamed)
        e->answer.body = e->body.p ? buf_str(&e->body) : CS_S("");
    if (result != CS_OK)
        say_why(e, why);
}

static void finish(struct errand *e, int result, const char *why)
{
    if (e->over)
        return;
    set_over(e, result, why);
    tell_over(e);
}

static void refuse_length(struct errand *e)
{
    char why[80];
    snprintf(why, sizeof why, "the answer is longer than max_body, %lld bytes",
             (long long)e->max_body);
    finish(e, CS_TOOBIG, why);
}

static void on_limit(struct timer *t)
{
    struct errand *e = CONTAINER_OF(t, struct errand, limit);
    char why[80];
    snprintf(why, sizeof why, "no whole answer within %lld ms", (long long)e->timeout_ms);
    finish(e, CS_TIMEOUT, why);
}

static void on_later(struct loop_task *t)
{
    struct errand *e = CONTAINER_OF(t, struct errand, later);
    tell_over(e);
}

/* ---- What the exchange tells ---- */

/* Of HEAD and 304 it is the length of what does not come. */
static int64_t announced(const struct exchange *x)
{
    bool of_another = x->opts.to_head || x->reply.status == 304;
    return of_another ? x->reply.content_length : http_reply_body_length(&x->body);
}

static void on_head(struct exchange *x)
{
    struct errand *e = errand_at(x);
    uint32_t was;
    e->answer.status = x->reply.status;
    e->answer.body_len = announced(x);
    e->fields = x->reply.headers;
    e->nfields = x->reply.nheaders;
    e->head_memory = exchange_take_head(x);
    if (!e->streamed && http_reply_body_length(&x->body) > e->max_body) {
        refuse_length(e);
        return;
    }
    if (e->on_head && enter(e, &was)) {
        e->on_head(request_public(e->request), &e->answer, e->arg);
        crumb_leave(was);
    }
    if (tells(e, ERRAND_HEAD))
        wake(e, CS_OK);
}

static int collect(struct errand *e, cs_str data)
{
    if (e->body.n + data.n > (uint64_t)e->max_body) {
        refuse_length(e);
        return CS_OK;
    }
    buf_add_str(&e->body, data);
    return CS_OK;
}

/* The piece is a copy: what it came in is used again while the task does something else. */
static int give_piece(struct errand *e, cs_str data)
{
    if (!tells(e, ERRAND_PIECE))
        return CS_AGAIN;
    buf_clear(&e->body);
    buf_add_str(&e->body, data);
    wake(e, CS_OK);
    return CS_OK;
}

static int on_data(struct exchange *x, cs_str data)
{
    struct errand *e = errand_at(x);
    uint32_t was;
    if (!e->streamed)
        return collect(e, data);
    if (!e->on_data)
        return give_piece(e, data);
    if (!enter(e, &was))
        return CS_OK;
    int rc = e->on_data(request_public(e->request), data, e->arg);
    crumb_leave(was);
    if (rc < 0 && rc != CS_AGAIN)
        finish(e, rc, "on_data wants no more of it");
    return rc == CS_AGAIN ? CS_AGAIN : CS_OK;
}

static void on_drain(struct exchange *x)
{
    struct errand *e = errand_at(x);
    uint32_t was;
    if (e->on_drain && enter(e, &was)) {
        e->on_drain(request_public(e->request), e->arg);
        crumb_leave(was);
    }
    if (tells(e, ERRAND_ROOM))
        wake(e, CS_OK);
}

static void on_over(struct exchange *x, enum exchange_result result)
{
    static const int results[] = {[EXCHANGE_OK] = CS_OK,
                                  [EXCHANGE_NO_NAME] = CS_BROKEN,
                                  [EXCHANGE_NO_CONNECT] = CS_BROKEN,
                                  [EXCHANGE_TIMEOUT] = CS_TIMEOUT,
                                  [EXCHANGE_BROKEN] = CS_BROKEN,
                                  [EXCHANGE_BAD] = CS_ERROR};
    finish(errand_at(x), results[result], x->why);
}

/* ---- Beginning ---- */

static int64_t or_else(int64_t ms, int64_t otherwise)
{
    return ms > 0 ? ms : otherwise;
}

static bool is_repeatable(cs_str method)
{
    enum http_method m = http_method_of(method);
    return m == HTTP_GET || m == HTTP_HEAD || m == HTTP_OPTIONS || m == HTTP_PUT ||
           m == HTTP_DELETE;
}

static cs_str put(char **at, cs_str s)
{
    cs_str copy = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    (*at)[s.n] = '\0';
    *at += s.n + 1;
    return copy;
}

static void keep_sent(struct errand *e, cs_str host, cs_str body, struct exchange_opts *x)
{
    char *at = e->sent = mem_alloc(host.n + body.n + 2);
    x->host = put(&at, host);
    x->body = put(&at, body);
}

static void start(struct errand *e, const cs_fetch_opts *o, const struct http_url *url, int fd)
{
    struct serve *s = e->request->serve;
    cs_str method = {e->head.p, (size_t)((char *)memchr(e->head.p, ' ', e->head.n) - e->head.p)};
    struct exchange_opts x = {.upstreams = s->upstreams,
                              .fd = fd,
                              .port = (uint16_t)url->port,
                              .head = buf_str(&e->head),
                              .body_follows = o->body_follows != 0,
                              .chunked = o->body_follows && o->body_len < 0,
                              .to_head = str_is(method, "HEAD"),
                              .repeatable = is_repeatable(method),
                              .connect_ms = or_else(o->connect_ms, ERRAND_CONNECT_MS),
                              .head_ms = e->timeout_ms,
                              .idle_ms = or_else(o->idle_ms, ERRAND_IDLE_MS)};
    keep_sent(e, fd < 0 ? url->host : CS_S(""), o->body_follows ? CS_S("") : o->body, &x);
    if (!e->streamed)
        timer_set(&s->loop->timers, &e->limit, (uint64_t)e->timeout_ms);
    exchange_start(&e->exchange, &x);
}

/* The end of the socket for the errand; -errno. */
static int open_inner(struct errand *e)
{
    struct request *r = e->request;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    serve_count_one(r->serve, IPC_SUBREQUESTS);
    e->inner = conn_inner(r, pair[1], e);
    conn_begin(e->inner);
    return pair[0];
}

static struct errand *make(struct request *r, const cs_fetch_opts *o)
{
    struct errand *e = arena_zalloc(&r->arena, sizeof *e);
    e->magic = ERRAND_MAGIC;
    e->request = r;
    e->module = (uint16_t)crumb_module();
    e->streamed = o->streamed != 0;
    e->follows = o->body_follows != 0;
    e->to_send = o->body_len < 0 ? -1 : o->body_len;
    e->max_body = or_else(o->max_body, ERRAND_MAX_BODY);
    e->timeout_ms = or_else(o->timeout_ms, ERRAND_TIMEOUT_MS);
    e->on_head = o->on_head;
    e->on_data = o->on_data;
    e->on_drain = o->on_drain;
    e->answer = (cs_fetched){
        .size = sizeof e->answer, .body_len = -1, .body = CS_S(""), .fetch = errand_public(e)};
    e->exchange.on_head = on_head;
    e->exchange.on_data = on_data;
    e->exchange.on_drain = on_drain;
    e->exchange.on_over = on_over;
    timer_init(&e->limit, on_limit);
    list_init(&e->later.node);
    e->later.run = on_later;
    list_add_tail(&request_work(r)->errands, &e->node);
    return e;
}

static void fail(struct errand *e, int result, const char *why)
{
    set_over(e, result, why);
    loop_later(e->request->serve->loop, &e->later);
}

static void refuse(struct errand *e, cs_str url, const char *why)
{
    char text[sizeof e->why];
    snprintf(text, sizeof text, "\"%.*s\": %s", url.n > 100 ? 100 : (int)url.n, url.p, why);
    fail(e, CS_ERROR, text);
}

/* The one that a client has sent. */
static struct request *root_of(struct request *r)
{
    while (r->conn && r->conn->outer)
        r = r->conn->outer->request;
    return r;
}

/* A page that asks for itself, once or thrice, comes to an end. Told once for each client's request. */
static const char *too_many(struct request *r)
{
    struct request_work *w = request_work(root_of(r));
    const char *why =
        r->conn->depth >= ERRAND_DEPTH         ? "subrequests of subrequests, more than 10 deep"
        : w->subrequests >= ERRAND_SUBREQUESTS ? "more than 200 subrequests of one client's request"
                                               : NULL;
    if (!why)
        w->subrequests++;
    else if (!w->told)
        request_log(r, CS_WARN, request_culprit(r), "%s: does a page ask for itself?", why);
    w->told = w->told || why;
    return why;
}

struct errand *errand_new(struct request *r, const cs_fetch_opts *o, bool inner)
{
    struct errand *e = make(r, o);
    e->same_site = inner && !o->host.n;
    struct http_url url;
    const char *why = NULL;
    int fd = -1;
    if (r->ended || task_is_past(r))
        set_over(e, CS_CLOSED, "the request is over");
    else if (inner && (why = too_many(r)))
        fail(e, CS_LOOP, why);
    else if (errand_write_head(e, o, inner, &url, &why) < 0)
        refuse(e, o->url, why);
    else if (inner && (fd = open_inner(e)) < 0)
        fail(e, CS_BROKEN, strerror(-fd));
    else
        start(e, o, &url, fd);
    return e;
}

/* ---- Under way ---- */

int errand_send(struct errand *e, cs_str data, bool last)
{
    if (e->over)
        return CS_CLOSED;
    if (!e->follows || e->sent_last)
        return CS_ERROR;
    if (e->to_send >= 0) {
        bool fits = data.n <= (uint64_t)e->to_send && (!last || data.n == (uint64_t)e->to_send);
        if (!fits) {
            fail(e, CS_ERROR, "its body is not as long as body_len says");
            return CS_ERROR;
        }
        e->to_send -= (int64_t)data.n;
    }
    e->sent_last = last;
    return exchange_send(&e->exchange, data, last);
}

void errand_resume(struct errand *e)
{
    if (!e->over)
        exchange_resume(&e->exchange);
}

void errand_lost(struct errand *e)
{
    e->inner = NULL;
}

/* ---- The end ---- */

static void let_go(struct errand *e)
{
    buf_free(&e->head);
    buf_free(&e->body);
    free(e->sent);
    free(e->head_memory);
    e->sent = e->head_memory = NULL;
    e->fields = NULL;
    e->nfields = 0;
}

static void silence(struct errand *e, const char *why)
{
    e->done = NULL;
    if (!e->over)
        set_over(e, CS_CLOSED, why);
    list_remove(&e->later.node);
}

static void drop(struct errand *e)
{
    silence(e, "the request is over");
    e->task = NULL;
    e->gather = NULL;
}

/* A task that waits for it goes on, but not inside the callback that has ended it. */
void errand_end(struct errand *e)
{
    silence(e, "cs_fetch_end was called");
    let_go(e);
    e->answer.body = CS_S("");
    if (e->task || e->gather)
        loop_later(e->request->serve->loop, &e->later);
    else
        list_remove(&e->node);
}

void errand_drop_all(struct request *r)
{
    if (!r->work)
        return;
    LIST_EACH(it, &r->work->errands)
    drop(CONTAINER_OF(it, struct errand, node));
}

void errand_free_all(struct request *r)
{
    LIST_EACH(it, &r->work->errands)
    let_go(CONTAINER_OF(it, struct errand, node));
}
