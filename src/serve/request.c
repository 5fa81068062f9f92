#include "serve/request.h"

#include "base/clock.h"
#include "base/digits.h"
#include "base/log.h"
#include "http/uri.h"
#include "serve/access_log.h"
#include "serve/api_debug.h"
#include "serve/body.h"
#include "serve/errand.h"
#include "serve/feed.h"
#include "serve/fetch.h"
#include "serve/filter.h"
#include "serve/handle.h"
#include "serve/header.h"
#include "serve/jump.h"
#include "serve/limit.h"
#include "serve/near.h"
#include "serve/offload.h"
#include "serve/respond.h"
#include "serve/task.h"
#include "serve/tell.h"

#include <stdlib.h>

static void on_patience(struct timer *t);

struct request *request_new(struct conn *c)
{
    struct serve *s = c->serve;
    struct arena a;
    arena_init(&a, &s->arenas);
    struct request *r = arena_zalloc(&a, sizeof *r);
    size_t cap = (size_t)s->limits->max_headers + (c->depth ? REQUEST_INNER_HEADERS : 0);
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
    if (s->debug)
        api_debug_born(r);
    if (log_enabled(LOG_LEVEL_DEBUG))
        request_trace(r);
    return r;
}

struct request_work *request_work(struct request *r)
{
    if (!r->work) {
        r->work = arena_zalloc(&r->arena, sizeof *r->work);
        list_init(&r->work->jobs);
        list_init(&r->work->errands);
        list_init(&r->work->tasks);
    }
    return r->work;
}

void request_stop_work(struct request *r)
{
    offload_drop(r);
    task_cancel_all(r);
    errand_drop_all(r);
}

void request_trace(struct request *r)
{
    r->trace = arena_alloc(&r->arena, sizeof *r->trace);
    trace_init(r->trace, &r->arena);
}

/* ---- What it is ---- */

cs_str request_id(struct request *r)
{
    char *text = arena_alloc(&r->arena, 16);
    digits_put_hex(text, r->id);
    return (cs_str){text, 16};
}

cs_str request_host(struct request *r)
{
    cs_str h = r->head.host;
    if (!r->host.p)
        r->host =
            http_host_normalise(h, arena_alloc(&r->arena, h.n > HTTP_V6_MAX ? h.n : HTTP_V6_MAX));
    return r->host;
}

void request_vlog(struct request *r, int level, const char *who, const char *fmt, va_list ap)
{
    if (r->dry) {
        tell_log(r, level, who, fmt, ap);
        return;
    }
    if (!log_enabled((enum log_level)level))
        return;
    struct log_pair pairs[8];
    size_t n = 0;
    char id[16];
    digits_put_hex(id, r->id);
    if (who)
        pairs[n++] = (struct log_pair){"module", str_of(who)};
    pairs[n++] = (struct log_pair){"client", request_client(r)};
    pairs[n++] = (struct log_pair){"request_id", {id, sizeof id}};
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

/* ---- Calling modules ---- */

/* Others may read it meanwhile: then the id is of no request. */
void request_crumb(const struct request *r)
{
    static const struct route *last;
    struct ipc_crumb *c = crumb_here;
    atomic_store_explicit(&c->request, 0, memory_order_release);
    if (r->route != last) {
        size_t n = r->route->label.n < sizeof c->route ? r->route->label.n : sizeof c->route - 1;
        memcpy(c->route, r->route->label.p, n);
        c->route[n] = '\0';
        last = r->route;
    }
    memcpy(c->path, r->path.p, sizeof c->path); /* set_path has seen to it that there is so much */
    c->path[sizeof c->path - 1] = '\0';
    atomic_store_explicit(&c->request, r->id, memory_order_release);
}

/* The page does not go through filters: those of the module may be among them. One that only makes the error page has none there. */
void request_refuse_module(struct request *r)
{
    if (r->answered) {
        respond_abort(r);
        return;
    }
    if (!jump_has_page(r))
        r->hooks &= ROUTE_LOG;
    header_set(r, CS_S("Retry-After"), CS_S("60"), false);
    respond_page(r, 503, NULL);
}

const char *request_culprit(const struct request *r)
{
    unsigned number = crumb_module();
    for (size_t i = 0; number && r->route && i < r->route->nlinks; i++)
        if (r->route->chain[i].module->number == number)
            return r->route->chain[i].module->desc->name;
    return r->route && r->link < r->route->nlinks ? r->route->chain[r->link].module->desc->name
                                                  : NULL;
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
        r->keep_alive = false; /* what follows may be meant for the other end of a tunnel */
        respond_page(r, 501, NULL);
    } else if (h->method == HTTP_TRACE) {
        header_set(r, CS_S("Allow"), CS_S("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"), false);
        respond_page(r, 405, NULL);
    } else if (h->form == HTTP_ASTERISK_FORM) {
        header_set(r, CS_S("Allow"), CS_S("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"), false);
        respond(r, 200, NULL, (struct respond_body){.fd = -1});
    } else {
        return false;
    }
    return true;
}

/* What a crumb has of the path is copied as a whole. */
#define CRUMB_PATH sizeof((struct ipc_crumb *)NULL)->path

char *request_path_room(struct request *r, size_t n)
{
    return arena_alloc(&r->arena, n + 1 < CRUMB_PATH ? CRUMB_PATH : n + 1);
}

cs_str request_path_copy(struct request *r, cs_str path)
{
    char *p = request_path_room(r, path.n);
    memcpy(p, path.p, path.n);
    p[path.n] = '\0';
    return (cs_str){p, path.n};
}

void request_stand_before(struct request *r)
{
    r->hooks = r->route->hooks;
    r->link = (unsigned)r->route->nlinks;
}

/* Until its own is found: that of the site, whose filters and log meet whatever becomes of it. */
static void begin_at_root(struct request *r)
{
    static const char no_path[CRUMB_PATH];
    r->path = (cs_str){no_path, 0};
    r->route = router_root(r->router_site);
    request_stand_before(r);
}

static bool set_path(struct request *r)
{
    const char *error = "";
    char *path = request_path_room(r, r->head.target_path.n);
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

/* Before the path is looked at: its site is told of in the log, whatever comes of it. */
static void find_site(struct request *r)
{
    const struct errand *outer = r->conn->outer;
    if (outer && outer->same_site) {
        r->router_site = outer->request->router_site;
        r->site = outer->request->site;
        return;
    }
    const struct serve_plan *plan = r->serve->plan;
    const struct router *router = plan->router;
    cs_str host = router_needs_host(router) ? request_host(r) : r->head.host;
    const struct conf_listen *listen = plan->listeners[r->conn->listener].conf;
    struct gate_answer why;
    r->router_site = router_site(router, listen, host, &why);
    r->site = &plan->conf->sites[why.index];
    if (r->trace)
        tell_site(r, listen, &why);
}

static bool client_of(void *arg, struct cidr_addr *out)
{
    return request_client_addr(arg, out);
}

static void tell_allowed(struct request *r)
{
    struct buf allow = {0};
    router_allow(r->serve->plan->router, r->found.allowed, &allow);
    header_set(r, CS_S("Allow"), arena_dup(&r->arena, buf_str(&allow)), false);
    buf_free(&allow);
}

static void tell_of_regex(struct request *r)
{
    struct buf where = {0};
    report_origin(r->found.at, &where);
    if (!jump_has_page(r)) /* one request is counted once */
        serve_count_one(r->serve, IPC_REGEX_LIMIT);
    request_log(r, CS_ERR, NULL,
                "a regex of the route gave up: it ran into its limits, since it backtracks too "
                "much for this "
                "request; see %s",
                where.p);
    buf_free(&where);
}

int request_search(struct request *r)
{
    const struct route_ask ask = {.path = r->path,
                                  .method = r->head.method,
                                  .method_text = r->method,
                                  .query = r->head.target_query,
                                  .head = &r->head,
                                  .arena = &r->arena,
                                  .client = client_of,
                                  .client_arg = r,
                                  .trace = r->trace};
    if (r->trace)
        tell_path(r);
    enum lookup_result result = router_find(r->router_site, &ask, &r->found);
    r->route = result == LOOKUP_METHOD ? router_root(r->router_site) : r->found.route;
    if (r->dry && !jump_has_page(r))
        near_routes(r->trace, r->serve->plan, r->site, r->route, r->path);
    if (result == LOOKUP_FOUND)
        return 0;
    if (result == LOOKUP_GAVE_UP)
        tell_of_regex(r);
    else if (!jump_has_page(r))
        tell_allowed(r);
    return result == LOOKUP_GAVE_UP ? 500 : 405;
}

static bool find_route(struct request *r)
{
    int status = jump_route(r);
    request_stand_before(r);
    if (status)
        respond_page(r, status, NULL);
    return !status;
}

void request_enter_route(struct request *r)
{
    if (limit_body_fits(r))
        handle_begin(r);
}

void request_begin(struct request *r)
{
    r->method = r->head.method_text;
    set_framing(r);
    find_site(r);
    begin_at_root(r);
    if (!answer_special(r) && set_path(r) && find_route(r))
        request_enter_route(r);
}

/* ---- Its end ---- */

/* It may ask again at once without sending: that is looked at in the next turn of the loop. */
void request_drained(struct request *r)
{
    if (r->filter)
        filter_drained(r);
    cs_req_cb cb = r->on_drain;
    if (!cb || r->out.queued || r->complete || r->whole)
        return;
    r->on_drain = NULL;
    if (!request_may_call(r, r->on_drain_module))
        return;
    uint32_t was = request_enter(r, r->on_drain_module, CRUMB_ON_DRAIN);
    cb(request_public(r), r->on_drain_arg);
    crumb_leave(was);
}

/* While the body arrives it is the client that takes its time, and body_timeout that watches it. */
static void on_patience(struct timer *t)
{
    struct request *r = CONTAINER_OF(t, struct request, patience);
    MAGIC_CHECK(r, REQUEST_MAGIC);
    if (body_hungry(r)) {
        limit_be_patient(r);
        return;
    }
    serve_count_one(r->serve, IPC_TIMEOUT_HANDLER);
    limit_tell(r, request_culprit(r), CONF_HANDLER_TIMEOUT, "no answer in time");
    request_stop_work(r);
    respond_page(r, 504, NULL);
    conn_wake(r->conn);
}

void request_drop_token(struct request *r)
{
    if (!r->has_token)
        return;
    r->has_token = false;
    struct request **at = &r->serve->tokens[r->token % SERVE_TOKENS];
    while (*at != r)
        at = &(*at)->token_next;
    *at = r->token_next;
}

static void log_trace(struct request *r)
{
    struct buf line = {0};
    tell_line(r, &line);
    request_log(r, CS_DEBUG, NULL, "%d: %s", r->status, line.n ? line.p : "");
    buf_free(&line);
}

static void count(struct request *r)
{
    struct serve *s = r->serve;
    if (r->conn->depth) /* counted as IPC_SUBREQUESTS */
        return;
    serve_count_one(s, IPC_REQUESTS);
    if (r->status >= 100 && r->status < 600)
        serve_count_one(s, (enum ipc_counter)(IPC_STATUS_1XX + r->status / 100 - 1));
    if (r->cut && !(r->complete && !r->out.queued))
        serve_count_one(s, IPC_CLIENT_GONE);
}

/* From here on nothing can be changed any more. */
static void log_hooks(struct request *r)
{
    const struct route *route = r->route;
    r->answered = r->complete = true;
    for (size_t i = 0; i < route->nlinks; i++) {
        const struct conf_module *m = route->chain[i].module;
        if (!m->desc->on_log || crumb_is_quarantined(m->number))
            continue;
        uint32_t was = request_enter(r, m->number, CRUMB_LOG);
        m->desc->on_log(request_public(r));
        crumb_leave(was);
    }
}

static void log_all(struct request *r)
{
    struct access_log *log = access_log_of(r);
    if (log)
        access_log_add(log, r);
    if (r->hooks & ROUTE_LOG)
        log_hooks(r);
    if (r->trace)
        log_trace(r);
}

void request_drop_body(struct request *r)
{
    out_drop(&r->out);
    if (r->filter)
        filter_drop(r);
}

/* They go on now. */
static void leave_to_tasks(struct request *r)
{
    request_client(r); /* what they may still ask for */
    r->answered = r->complete = r->ended = true;
    r->conn = NULL;
    task_cancel_all(r);
}

void request_end(struct request *r)
{
    struct timer_wheel *timers = &r->serve->loop->timers;
    jump_outside(r);
    /* A head that never came whole is no request. */
    if (!r->reading) {
        if (!r->answered)
            r->status = 499;
        count(r);
        if (!r->dry)
            log_all(r);
    }
    bool tasks = r->work && !list_empty(&r->work->tasks);
    if (r->serve->debug && !tasks)
        api_debug_gone(r);
    request_drop_token(r);
    if (r->feed)
        feed_end(r->feed);
    timer_clear(timers, &r->patience);
    for (struct request_timer *t = r->timers; t; t = t->next)
        timer_clear(timers, &t->timer);
    if (r->work)
        offload_drop(r);
    fetch_drop(r);
    if (!r->fetch)
        request_drop_body(r);
    if (tasks)
        leave_to_tasks(r);
    r->ended = true;
    r->conn = NULL;
    if (r->work)
        errand_drop_all(r);
    request_let_go(r);
}

void request_let_go(struct request *r)
{
    bool works = r->work && !(list_empty(&r->work->jobs) && list_empty(&r->work->tasks));
    if (!works && !r->fetch)
        request_free(r);
}

void request_free(struct request *r)
{
    for (struct request_closer *c = r->closers; c; c = c->next) {
        if (crumb_is_quarantined(c->module))
            continue;
        uint32_t was = request_enter(r, c->module, CRUMB_ON_CLOSE);
        c->cb(c->arg);
        crumb_leave(was);
    }
    if (r->work)
        errand_free_all(r);
    inbuf_release(r->serve, r->in);
    free(r->heap);
    r->magic = 0;
    struct arena a = r->arena;
    arena_drop(&a);
}
