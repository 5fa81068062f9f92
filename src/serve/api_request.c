/* Every pointer that comes back from a module is checked for what it should be. */
#include "serve/api_calls.h"

#include "base/blocks.h"
#include "http/accept.h"
#include "http/escape.h"
#include "http/query.h"
#include "module/host.h"
#include "os/file.h"
#include "serve/body.h"
#include "serve/jump.h"
#include "serve/request.h"
#include "serve/respond.h"
#include "serve/task.h"
#include "serve/trace.h"
#include "serve/variable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define REQUEST_MEMORY_MAX (16u << 20)

const cs_req_info *api_info(cs_req *pub)
{
    struct request *r = request_of(pub);
    if (r->info)
        return r->info;
    cs_req_info *i = arena_alloc(&r->arena, sizeof *i);
    *i = (cs_req_info){.size = sizeof *i,
                       .http = (uint16_t)(10 + r->head.minor),
                       .root = (uint16_t)r->route->root,
                       .method = r->method,
                       .target = r->head.target,
                       .path = r->path,
                       .query = r->head.target_query,
                       .host = request_host(r),
                       .client = request_client(r),
                       .peer = request_peer(r),
                       .id = request_id(r),
                       .site = r->route->site->head.label,
                       .route = r->route->label,
                       .body_len = jump_has_page(r)             ? 0
                                   : r->head.chunked            ? -1
                                   : r->head.content_length > 0 ? r->head.content_length
                                                                : 0};
    r->info = i;
    return i;
}

/* The module's place in the chain of a route; NULL: it takes no part. */
static const struct route_link *place_in(const struct route *route, const void *mod)
{
    for (size_t i = 0; route && i < route->nlinks; i++)
        if ((const void *)route->chain[i].module->desc->api == mod)
            return &route->chain[i];
    return NULL;
}

/* While an error page is made, who takes part in the request only may still hold it. */
static const struct route_link *place_of(const struct request *r, const void *mod)
{
    const struct route_link *l = place_in(r->route, mod);
    return l || !jump_has_page(r) ? l : place_in(r->jump->other.route, mod);
}

const void *api_conf(cs_req *pub, const void *mod)
{
    const struct route_link *l = place_of(request_of(pub), mod);
    return l ? l->conf : host_conf_of(mod);
}

cs_str api_header(cs_req *pub, const char *name)
{
    const struct http_header *h = http_head_find(&request_of(pub)->head, str_of(name));
    return h ? h->value : (cs_str){0};
}

int api_header_each(cs_req *pub, int (*each)(cs_str name, cs_str value, void *arg), void *arg)
{
    const struct http_head *h = &request_of(pub)->head;
    int rc = 0;
    for (size_t i = 0; i < h->nheaders && !rc; i++)
        rc = each(h->headers[i].name, h->headers[i].value, arg);
    return rc;
}

void **api_ctx(cs_req *pub, const void *mod)
{
    struct request *r = request_of(pub);
    const struct route_link *l = place_of(r, mod);
    if (!l)
        return NULL;
    bool here = l >= r->route->chain && l < r->route->chain + r->route->nlinks;
    const struct route *route = here ? r->route : r->jump->other.route;
    void ***ctx = here ? &r->ctx : &r->jump->other.ctx;
    if (!*ctx)
        *ctx = arena_zalloc(&r->arena, route->nlinks * sizeof **ctx);
    return &(*ctx)[l - route->chain];
}

static bool has_room(const struct request *r, size_t n)
{
    return n <= REQUEST_MEMORY_MAX && r->arena.total + n <= REQUEST_MEMORY_MAX;
}

int api_coding_weight(cs_req *pub, const char *coding)
{
    const struct request *r = request_of(pub);
    struct http_accept a = HTTP_ACCEPT_NONE;
    for (size_t i = 0; i < r->head.nheaders; i++)
        if (str_eq_nocase(r->head.headers[i].name, CS_S("Accept-Encoding")))
            http_accept_read(r->head.headers[i].value, str_of(coding), &a);
    return http_accept_weight(&a);
}

cs_str api_query(cs_req *pub, const char *name)
{
    struct request *r = request_of(pub);
    cs_str value = http_query_find(r->head.target_query, str_of(name));
    if (!http_query_is_coded(value))
        return value;
    if (!has_room(r, value.n))
        return (cs_str){0};
    char *p = arena_alloc(&r->arena, value.n);
    return (cs_str){p, http_query_decode(value, p)};
}

/* A client may send several Cookie fields. */
cs_str api_cookie(cs_req *pub, const char *name)
{
    const struct http_head *h = &request_of(pub)->head;
    for (size_t i = 0; i < h->nheaders; i++) {
        cs_str value = {0};
        if (str_eq_nocase(h->headers[i].name, CS_S("Cookie")))
            value = http_cookie_find(h->headers[i].value, str_of(name));
        if (value.p)
            return value;
    }
    return (cs_str){0};
}

cs_str api_escape(cs_req *pub, int where, cs_str text)
{
    struct request *r = request_of(pub);
    long n = text.n <= REQUEST_MEMORY_MAX ? http_escape(where, text, NULL) : -1;
    if (n < 0 || !has_room(r, (size_t)n + 1))
        return (cs_str){0};
    char *p = arena_alloc(&r->arena, (size_t)n + 1);
    http_escape(where, text, p);
    p[n] = '\0';
    return (cs_str){p, (size_t)n};
}

int api_set_user(cs_req *pub, cs_str name)
{
    struct request *r = request_of(pub);
    if (!has_room(r, name.n + 1))
        return CS_NOMEM;
    r->user = name.n ? arena_dup(&r->arena, name) : (cs_str){0};
    return CS_OK;
}

cs_str api_user(cs_req *pub)
{
    return request_of(pub)->user;
}

cs_str api_body(cs_req *pub)
{
    return request_of(pub)->collected;
}

int api_body_stream(cs_req *pub, int (*on_data)(cs_req *, cs_str, int, void *), void *arg)
{
    struct request *r = request_of(pub);
    if (task_is_closed(r))
        return CS_CLOSED;
    bool collected = r->sink == REQUEST_SINK_COLLECT && request_body_over(r);
    if (!r->passed || r->heading || r->answered || r->jumping || jump_has_page(r) ||
        !(r->sink == REQUEST_SINK_WAIT || collected))
        return CS_ERROR;
    r->on_data = on_data;
    r->on_data_arg = arg;
    r->on_data_module = crumb_module();
    r->sink = REQUEST_SINK_STREAM;
    if (request_body_over(r))
        return body_deliver_all(r);
    respond_continue(r);
    conn_wake(r->conn);
    return CS_OK;
}

int api_body_resume(cs_req *pub)
{
    struct request *r = request_of(pub);
    if (task_is_closed(r))
        return CS_CLOSED;
    r->paused = false;
    conn_wake(r->conn);
    return CS_OK;
}

void *api_alloc(cs_req *pub, size_t n)
{
    struct request *r = request_of(pub);
    if (!has_room(r, n))
        return NULL;
    return arena_zalloc(&r->arena, n ? n : 1);
}

/* As arena_vprintf, within what a request may have. */
cs_str api_vformat(struct request *r, const char *fmt, va_list ap)
{
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = str_vprintf(small, sizeof small, fmt, ap);
    cs_str s = {0};
    if (n >= 0 && has_room(r, (size_t)n + 1)) {
        char *p = arena_alloc(&r->arena, (size_t)n + 1);
        if ((size_t)n < sizeof small)
            memcpy(p, small, (size_t)n + 1);
        else
            vsnprintf(p, (size_t)n + 1, fmt, again);
        s = (cs_str){p, (size_t)n};
    }
    va_end(again);
    return s;
}

cs_str api_format(cs_req *pub, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cs_str s = api_vformat(request_of(pub), fmt, ap);
    va_end(ap);
    return s;
}

int api_on_close(cs_req *pub, cs_cb cb, void *arg)
{
    struct request *r = request_of(pub);
    struct request_closer *c = arena_alloc(&r->arena, sizeof *c);
    *c =
        (struct request_closer){.next = r->closers, .cb = cb, .arg = arg, .module = crumb_module()};
    r->closers = c;
    return CS_OK;
}

cs_token api_token(cs_req *pub)
{
    struct request *r = request_of(pub);
    if (!r->has_token && !r->ended) {
        r->token = r->jump ? r->serve->next_id++ : r->id;
        struct request **at = &r->serve->tokens[r->token % SERVE_TOKENS];
        r->has_token = true;
        r->token_next = *at;
        *at = r;
    }
    return r->token ? r->token : r->id;
}

static void on_request_timer(struct timer *t)
{
    struct request_timer *q = CONTAINER_OF(t, struct request_timer, timer);
    struct request *r = q->request;
    q->next_spare = r->spare_timers;
    r->spare_timers = q;
    if (!request_may_call(r, q->module))
        return;
    uint32_t was = request_enter(r, q->module, CRUMB_REQ_TIMER);
    q->cb(request_public(r), q->arg);
    crumb_leave(was);
}

/* One that has fired serves again: a long answer may set one for each of its pieces. */
static struct request_timer *take_timer(struct request *r)
{
    struct request_timer *q = r->spare_timers;
    if (q) {
        r->spare_timers = q->next_spare;
        return q;
    }
    q = arena_alloc(&r->arena, sizeof *q);
    q->next = r->timers;
    r->timers = q;
    timer_init(&q->timer, on_request_timer);
    q->request = r;
    return q;
}

int api_req_timer(cs_req *pub, int64_t ms, cs_req_cb cb, void *arg)
{
    struct request *r = request_of(pub);
    if (task_is_closed(r))
        return CS_CLOSED;
    struct request_timer *q = take_timer(r);
    q->cb = cb;
    q->arg = arg;
    q->module = crumb_module();
    timer_set(&r->serve->loop->timers, &q->timer, ms < 0 ? 0 : (uint64_t)ms);
    return CS_OK;
}

/* ---- Going on ---- */

/* A handler that has had some of the body cannot leave it to the next, who would miss that. */
int api_proceed(cs_req *pub)
{
    struct request *r = request_of(pub);
    if (r->answered || r->heading || r->jumping || r->proceed || !(r->pending || r->working) ||
        r->tasted || task_runs_for(r))
        return CS_ERROR;
    r->proceed = true;
    loop_later(r->serve->loop, &r->conn->task);
    return CS_OK;
}

/* ---- Files ---- */

/* Permissions are the operator's affair, so the log says what the client's 403 does not. */
int api_root_open(cs_req *pub, cs_str path)
{
    struct request *r = request_of(pub);
    if (!r->route->root)
        return -ENOENT;
    if (!path.n) {
        const int fd = fcntl(r->serve->plan->roots[r->route->root - 1].fd, F_DUPFD_CLOEXEC, 0);
        return fd < 0 ? -errno : fd;
    }
    while (path.n && path.p[0] == '/')
        path = (cs_str){path.p + 1, path.n - 1};
    const struct serve_root *root = &r->serve->plan->roots[r->route->root - 1];
    int fd = file_open_beneath(root->fd, path.n ? path : CS_S("."));
    if (fd == -EACCES || fd == -EPERM)
        request_log(r, CS_WARN, NULL, "the workers' user may not read \"%.*s\" in %s: %s",
                    CS_F(path), root->path, strerror(-fd));
    return fd;
}

/* ---- Since 1.1 ---- */

cs_str api_expand(cs_req *pub, const cs_template *t, int where)
{
    return variable_expand(request_of(pub), t, where);
}

int api_jump(cs_req *pub, cs_str target)
{
    return jump_ask(request_of(pub), target);
}

int api_client_in(cs_req *pub, const cs_blocks *b)
{
    struct cidr_addr addr;
    return (int)blocks_find(b, request_client_addr(request_of(pub), &addr) ? &addr : NULL);
}

cs_str api_client_block(cs_req *pub, const cs_blocks *b)
{
    struct cidr_addr addr;
    return blocks_word(b, request_client_addr(request_of(pub), &addr) ? &addr : NULL);
}

void api_say(cs_req *pub, const void *mod, const char *key, const char *fmt, ...)
{
    struct request *r = request_of(pub);
    va_list ap;
    (void)mod;
    if (!r->trace || r->trace->nsaid >= r->trace->most)
        return;
    r->trace->nsaid++;
    va_start(ap, fmt);
    cs_str text = api_vformat(r, fmt, ap);
    va_end(ap);
    trace_add(r->trace, TRACE_SAY, str_of(key), "%.*s", CS_F(text));
}
