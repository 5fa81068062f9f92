/* The request's and the response's part of cs_api; the process's part is in module/.
 * Every pointer that comes back from a module is checked for what it should be. */
#include "serve/api.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/mime.h"
#include "http/token.h"
#include "module/counter.h"
#include "module/host.h"
#include "module/post.h"
#include "module/zone.h"
#include "os/file.h"
#include "serve/body.h"
#include "serve/metrics.h"
#include "serve/request.h"
#include "serve/respond.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUEST_MEMORY_MAX (16u << 20)

/* The one worker that lives in this process: modules do not carry it around. NULL in the primary, where no request is. */
static struct serve *here;
struct cs_conf {
    struct report *report;
    const struct conf_head *section;
    const char *module;
};

/* ---- Settings under test ---- */

static const struct conf_value *value_of(const struct conf_head *section, const char *directive)
{
    for (size_t i = 0; section && i < section->nvalues; i++)
        if (!strcmp(section->values[i].directive->name, directive))
            return &section->values[i];
    return NULL;
}

static int api_conf_error(cs_conf *c, const char *directive, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const struct conf_value *v = value_of(c->section, directive);
    report_error(c->report,
                 v            ? &v->origin
                 : c->section ? &c->section->at
                              : NULL,
                 1, "module %s: %s: %s", c->module, directive, text);
    return CS_ERROR;
}

void api_check_conf(const cs_module *desc, const void *conf, const struct conf_head *section,
                    struct report *report)
{
    struct cs_conf c = {.report = report, .section = section, .module = desc->name};
    unsigned before = report->errors;
    int rc = desc->on_config ? desc->on_config(&c, conf) : CS_OK;
    if (rc != CS_OK && report->errors == before)
        report_error(report, section ? &section->at : NULL, 1,
                     "module %s refuses these settings without a reason (%d)", desc->name, rc);
}

static int api_metric_each(int (*each)(const cs_metric *m, void *arg), void *arg)
{
    const struct host *h = host_here();
    const struct metrics_source src = {h->region, (unsigned)h->self.workers,
                                       here ? here->plan : NULL};
    return metrics_each(&src, each, arg);
}

/* ---- The request ---- */

static const cs_req_info *api_info(cs_req *pub)
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

static const void *api_conf(cs_req *pub, const void *mod)
{
    const struct request *r = request_of(pub);
    for (size_t i = 0; i < r->route->nlinks; i++)
        if ((const void *)r->route->chain[i].module->desc->api == mod)
            return r->route->chain[i].conf;
    return host_conf_of(mod);
}

static cs_str api_header(cs_req *pub, const char *name)
{
    const struct http_header *h = http_head_find(&request_of(pub)->head, str_of(name));
    return h ? h->value : (cs_str){0};
}

static cs_str api_body(cs_req *pub)
{
    return request_of(pub)->collected;
}

static int api_body_stream(cs_req *pub, int (*on_data)(cs_req *, cs_str, int, void *), void *arg)
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

static int api_body_resume(cs_req *pub)
{
    struct request *r = request_of(pub);
    r->paused = false;
    conn_wake(r->conn);
    return CS_OK;
}

static void *api_alloc(cs_req *pub, size_t n)
{
    struct request *r = request_of(pub);
    if (n > REQUEST_MEMORY_MAX || r->arena.total + n > REQUEST_MEMORY_MAX)
        return NULL;
    return arena_zalloc(&r->arena, n ? n : 1);
}

static cs_str api_format(cs_req *pub, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cs_str s = arena_vprintf(&request_of(pub)->arena, fmt, ap);
    va_end(ap);
    return s;
}

static int api_on_close(cs_req *pub, cs_cb cb, void *arg)
{
    struct request *r = request_of(pub);
    struct request_closer *c = arena_alloc(&r->arena, sizeof *c);
    *c = (struct request_closer){.next = r->closers, .cb = cb, .arg = arg};
    r->closers = c;
    return CS_OK;
}

static cs_token api_token(cs_req *pub)
{
    struct request *r = request_of(pub);
    if (!r->has_token) {
        struct request **at = &here->tokens[r->id % SERVE_TOKENS];
        r->has_token = true;
        r->token_next = *at;
        *at = r;
    }
    return r->id;
}

static cs_req *api_from_token(cs_token t)
{
    struct request *r = here ? here->tokens[t % SERVE_TOKENS] : NULL;
    while (r && r->id != t)
        r = r->token_next;
    return r ? request_public(r) : NULL;
}

static void on_request_timer(struct timer *t)
{
    struct request_timer *q = CONTAINER_OF(t, struct request_timer, timer);
    struct request *r = q->request;
    q->next_spare = r->spare_timers;
    r->spare_timers = q;
    serve_enter_module(here);
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

static int api_req_timer(cs_req *pub, int64_t ms, cs_req_cb cb, void *arg)
{
    struct request *r = request_of(pub);
    struct request_timer *q = take_timer(r);
    q->cb = cb;
    q->arg = arg;
    timer_set(&here->loop->timers, &q->timer, ms < 0 ? 0 : (uint64_t)ms);
    return CS_OK;
}

/* ---- Files ---- */

/* Permissions are the operator's affair, so the log says what the client's 403 does not. */
static int api_root_open(cs_req *pub, cs_str path)
{
    struct request *r = request_of(pub);
    if (!r->route->root)
        return -ENOENT;
    while (path.n && path.p[0] == '/')
        path = (cs_str){path.p + 1, path.n - 1};
    const struct serve_root *root = &here->plan->roots[r->route->root - 1];
    int fd = file_open_beneath(root->fd, path.n ? path : CS_S("."));
    if (fd == -EACCES || fd == -EPERM)
        request_log(r, CS_WARN, NULL, "the workers' user may not read \"%.*s\" in %s: %s",
                    CS_F(path), root->path, strerror(-fd));
    return fd;
}

/* ---- The response ---- */

static int api_set_header(cs_req *pub, const char *name, cs_str value)
{
    return respond_set_field(request_of(pub), str_of(name), value, false);
}

static int api_add_header(cs_req *pub, const char *name, cs_str value)
{
    return respond_set_field(request_of(pub), str_of(name), value, true);
}

static int api_validators(cs_req *pub, cs_str etag, int64_t mtime)
{
    struct request *r = request_of(pub);
    if (etag.n && !http_is_field_value(etag))
        return CS_ERROR;
    r->validators.etag = etag.n ? arena_dup(&r->arena, etag) : (cs_str){0};
    r->validators.mtime = mtime < 0 ? -1 : (time_t)mtime;
    return CS_OK;
}

/* A body that the caller keeps: small ones are copied behind the head anyway, others are copied
 * here. */
static int reply_copy(struct request *r, int status, const char *type, cs_str body, bool ours)
{
    cs_str b = ours || r->answered || !body.n ? body : arena_dup(&r->arena, body);
    return respond(r, status, type,
                   (struct respond_body){.p = b.n ? b.p : NULL, .fd = -1, .len = b.n});
}

static int api_reply(cs_req *pub, int status, const char *type, cs_str body)
{
    return reply_copy(request_of(pub), status, type, body, false);
}

static int api_replyf(cs_req *pub, int status, const char *type, const char *fmt, ...)
{
    struct request *r = request_of(pub);
    va_list ap;
    va_start(ap, fmt);
    cs_str body = arena_vprintf(&r->arena, fmt, ap);
    va_end(ap);
    return reply_copy(r, status, type, body, true);
}

static int api_reply_ref(cs_req *pub, int status, const char *type, cs_str body, cs_cb release,
                         void *arg)
{
    return respond(request_of(pub), status, type,
                   (struct respond_body){.p = body.n ? body.p : "",
                                         .fd = -1,
                                         .len = body.n,
                                         .release = release,
                                         .arg = arg,
                                         .ranges = true});
}

static int api_reply_file(cs_req *pub, int status, const char *type, int fd, int64_t off,
                          int64_t len, cs_cb release, void *arg)
{
    check(off >= 0 && len >= 0);
    return respond(request_of(pub), status, type,
                   (struct respond_body){.fd = fd,
                                         .off = (uint64_t)off,
                                         .len = (uint64_t)len,
                                         .release = release,
                                         .arg = arg,
                                         .ranges = true});
}

static int api_fail(cs_req *pub, int status, const char *fmt, ...)
{
    struct request *r = request_of(pub);
    const char *who =
        r->link < r->route->nlinks ? r->route->chain[r->link].module->desc->name : NULL;
    va_list ap;
    va_start(ap, fmt);
    request_vlog(r, CS_ERR, who, fmt, ap);
    va_end(ap);
    serve_count_one(r->serve, IPC_HANDLER_ERRORS);
    if (r->complete)
        return CS_ERROR;
    if (r->answered)
        respond_abort(r);
    else
        respond_page(r, status, NULL);
    return CS_OK;
}

static int api_start(cs_req *pub, int status, const char *type, int64_t len)
{
    return respond_start(request_of(pub), status, type, len);
}

static int api_send(cs_req *pub, cs_str data, int last)
{
    return respond_send(request_of(pub), data, last != 0);
}

static int api_on_drain(cs_req *pub, cs_req_cb cb, void *arg)
{
    struct request *r = request_of(pub);
    r->on_drain = cb;
    r->on_drain_arg = arg;
    if (!r->out.queued) /* also when the connection is at work: it may be past looking */
        loop_later(here->loop, &r->conn->task);
    return CS_OK;
}

static const cs_api table = {
    .size = sizeof(cs_api),
    .major = CS_ABI_MAJOR,
    .minor = CS_ABI_MINOR,
    .self = host_self,
    .module_conf = host_module_conf,
    .log = host_log,
    .timer = host_timer,
    .timer_cancel = host_timer_cancel,
    .now_ms = host_now_ms,
    .conf_error = api_conf_error,
    .counter_add = counter_add,
    .counter_sum = counter_sum,
    .metric_each = api_metric_each,
    .info = api_info,
    .conf = api_conf,
    .header = api_header,
    .body = api_body,
    .body_stream = api_body_stream,
    .body_resume = api_body_resume,
    .alloc = api_alloc,
    .format = api_format,
    .on_close = api_on_close,
    .token = api_token,
    .from_token = api_from_token,
    .req_timer = api_req_timer,
    .root_open = api_root_open,
    .mime = http_mime_of,
    .set_header = api_set_header,
    .add_header = api_add_header,
    .validators = api_validators,
    .reply = api_reply,
    .replyf = api_replyf,
    .reply_ref = api_reply_ref,
    .reply_file = api_reply_file,
    .fail = api_fail,
    .start = api_start,
    .send = api_send,
    .on_drain = api_on_drain,
    .publish = post_publish,
    .publish_applied = post_publish_applied,
    .call = post_call,
    .answer = post_answer,
    .zone = zone_data,
    .zone_lock = zone_lock,
    .zone_unlock = zone_unlock,
};

const cs_api *serve_api(void)
{
    return &table;
}

void api_open(struct serve *s)
{
    here = s;
}

void api_close(void)
{
    here = NULL;
}
