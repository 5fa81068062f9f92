/* Every pointer that comes back from a module is checked for what it should be. */
#include "serve/api_calls.h"

#include "http/mime.h"
#include "module/host.h"
#include "os/file.h"
#include "serve/body.h"
#include "serve/request.h"
#include "serve/respond.h"

#include <errno.h>

#define REQUEST_MEMORY_MAX (16u << 20)

const cs_req_info *api_info(cs_req *pub)
{
    struct request *r = request_of(pub);
    if (r->info)
        return r->info;
    cs_req_info *i = arena_zalloc(&r->arena, sizeof *i);
    *i = (cs_req_info){.size = sizeof *i,
                       .http = (uint16_t)(10 + r->head.minor),
                       .root = (uint16_t)r->route->root,
                       .method = r->head.method_text,
                       .target = r->head.target,
                       .path = r->path,
                       .query = r->head.target_query,
                       .host = request_host(r),
                       .client = conn_client(r->conn),
                       .id = request_id(r),
                       .site = r->route->site->head.label,
                       .route = r->route->label,
                       .body_len = r->head.chunked              ? -1
                                   : r->head.content_length > 0 ? r->head.content_length
                                                                : 0};
    r->info = i;
    return i;
}

const void *api_conf(cs_req *pub, const void *mod)
{
    const struct request *r = request_of(pub);
    for (size_t i = 0; i < r->route->nlinks; i++)
        if ((const void *)r->route->chain[i].module->desc->api == mod)
            return r->route->chain[i].conf;
    return host_conf_of(mod);
}

cs_str api_header(cs_req *pub, const char *name)
{
    const struct http_header *h = http_head_find(&request_of(pub)->head, str_of(name));
    return h ? h->value : (cs_str){0};
}

cs_str api_body(cs_req *pub)
{
    return request_of(pub)->collected;
}

int api_body_stream(cs_req *pub, int (*on_data)(cs_req *, cs_str, int, void *), void *arg)
{
    struct request *r = request_of(pub);
    if (r->complete || r->sink != REQUEST_SINK_WAIT)
        return CS_ERROR;
    r->on_data = on_data;
    r->on_data_arg = arg;
    r->sink = REQUEST_SINK_STREAM;
    if (request_body_over(r))
        return body_deliver_empty(r);
    respond_continue(r);
    conn_wake(r->conn);
    return CS_OK;
}

int api_body_resume(cs_req *pub)
{
    struct request *r = request_of(pub);
    r->paused = false;
    conn_wake(r->conn);
    return CS_OK;
}

void *api_alloc(cs_req *pub, size_t n)
{
    struct request *r = request_of(pub);
    if (n > REQUEST_MEMORY_MAX || r->arena.total + n > REQUEST_MEMORY_MAX)
        return NULL;
    return arena_zalloc(&r->arena, n ? n : 1);
}

cs_str api_format(cs_req *pub, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cs_str s = arena_vprintf(&request_of(pub)->arena, fmt, ap);
    va_end(ap);
    return s;
}

int api_on_close(cs_req *pub, cs_cb cb, void *arg)
{
    struct request *r = request_of(pub);
    struct request_closer *c = arena_alloc(&r->arena, sizeof *c);
    *c = (struct request_closer){.next = r->closers, .cb = cb, .arg = arg};
    r->closers = c;
    return CS_OK;
}

cs_token api_token(cs_req *pub)
{
    struct request *r = request_of(pub);
    if (!r->has_token) {
        struct request **at = &r->serve->tokens[r->id % SERVE_TOKENS];
        r->has_token = true;
        r->token_next = *at;
        *at = r;
    }
    return r->id;
}

static void on_request_timer(struct timer *t)
{
    struct request_timer *q = CONTAINER_OF(t, struct request_timer, timer);
    struct request *r = q->request;
    q->next_spare = r->spare_timers;
    r->spare_timers = q;
    serve_enter_module(r->serve);
    q->cb(request_public(r), q->arg);
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
    struct request_timer *q = take_timer(r);
    q->cb = cb;
    q->arg = arg;
    timer_set(&r->serve->loop->timers, &q->timer, ms < 0 ? 0 : (uint64_t)ms);
    return CS_OK;
}

/* ---- Files ---- */

/* Permissions are the operator's affair, so the log says what the client's 403 does not. */
int api_root_open(cs_req *pub, cs_str path)
{
    struct request *r = request_of(pub);
    if (!r->route->root)
        return -ENOENT;
    while (path.n && path.p[0] == '/')
        path = (cs_str){path.p + 1, path.n - 1};
    const struct serve_root *root = &r->serve->plan->roots[r->route->root - 1];
    int fd = file_open_beneath(root->fd, path.n ? path : CS_S("."));
    if (fd == -EACCES || fd == -EPERM)
        request_log(r, CS_WARN, NULL, "the workers' user may not read \"%.*s\" in %s: %s",
                    CS_F(path), root->path, strerror(-fd));
    return fd;
}
