/* The request's and the response's part of cs_api, and the process's: what modules call lands here.
 * Every pointer that comes back from a module is checked for what it should be. */
#include "serve/api.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/mime.h"
#include "http/token.h"
#include "module/counter.h"
#include "os/file.h"
#include "serve/body.h"
#include "serve/metrics.h"
#include "serve/request.h"
#include "serve/respond.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUEST_MEMORY_MAX (16u << 20)

/* The one worker that lives in this process: modules do not carry it around. */
static struct serve *here;
static struct list timers = {&timers, &timers}; /* of its modules */

struct cs_proc {
    const struct conf_module *module;
};

struct cs_timer {
    struct timer timer;
    struct list node; /* in `timers` */
    cs_cb cb;
    void *arg;
    uint64_t every_ms; /* 0: once */
};

struct cs_conf {
    struct report *report;
    const struct conf_head *section;
    const char *module;
};

/* ---- The process ---- */

static const cs_self_info *api_self(void)
{
    check(here != NULL);
    return here->self;
}

static const void *api_module_conf(cs_proc *p)
{
    return p->module->conf;
}

static const char *module_name(const void *mod)
{
    const struct conf *conf = here ? here->plan->conf : NULL;
    for (size_t i = 0; conf && i < conf->nmodules; i++)
        if (conf->modules[i].desc && (const void *)conf->modules[i].desc->api == mod)
            return conf->modules[i].desc->name;
    return "module";
}

static void api_log(const void *mod, int level, const char *fmt, ...)
{
    struct log_pair pair = {"module", str_of(module_name(mod))};
    enum log_level l = level < CS_DEBUG || level > CS_ERR ? LOG_LEVEL_INFO : (enum log_level)level;
    va_list ap;
    va_start(ap, fmt);
    log_write_with(l, &pair, 1, fmt, ap);
    va_end(ap);
}

static void end_timer(cs_timer *m)
{
    timer_clear(&here->loop->timers, &m->timer);
    list_remove(&m->node);
    free(m);
}

static void on_module_timer(struct timer *t)
{
    cs_timer *m = CONTAINER_OF(t, cs_timer, timer);
    cs_cb cb = m->cb;
    void *arg = m->arg;
    if (m->every_ms)
        timer_set(&here->loop->timers, t, m->every_ms);
    else
        end_timer(m);
    serve_enter_module(here);
    cb(arg);
}

static cs_timer *api_timer(cs_proc *p, int64_t ms, int repeat, cs_cb cb, void *arg)
{
    check(p != NULL && here != NULL && cb != NULL);
    cs_timer *m = mem_alloc(sizeof *m);
    uint64_t wait = ms < 1 ? 1 : (uint64_t)ms;
    timer_init(&m->timer, on_module_timer);
    list_add_tail(&timers, &m->node);
    m->cb = cb;
    m->arg = arg;
    m->every_ms = repeat ? wait : 0;
    timer_set(&here->loop->timers, &m->timer, wait);
    return m;
}

static void api_timer_cancel(cs_timer *m)
{
    if (m)
        end_timer(m);
}

static int64_t api_now_ms(void)
{
    return (int64_t)clock_ms();
}

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
    const struct metrics_source src = {here->region, here->plan->workers, here->plan};
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

static const void *api_conf(cs_req *pub)
{
    struct request *r = request_of(pub);
    check(r->link < r->route->nlinks);
    return r->route->chain[r->link].conf;
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
    struct request *r = here->tokens[t % SERVE_TOKENS];
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
    .self = api_self,
    .module_conf = api_module_conf,
    .log = api_log,
    .timer = api_timer,
    .timer_cancel = api_timer_cancel,
    .now_ms = api_now_ms,
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
};

const cs_api *serve_api(void)
{
    return &table;
}

/* ---- Hooks of a worker's life ---- */

int api_start_modules(struct serve *s)
{
    const struct conf *conf = s->plan->conf;
    here = s;
    s->procs = mem_alloc((conf->nmodules + 1) * sizeof *s->procs);
    for (size_t i = 0; i < conf->nmodules; i++) {
        const struct conf_module *m = &conf->modules[i];
        s->procs[i].module = m;
        int rc = m->desc->worker_start ? m->desc->worker_start(&s->procs[i]) : CS_OK;
        if (rc < 0) {
            log_error("module %s: worker_start failed (%d)", m->desc->name, rc);
            return -1;
        }
    }
    return 0;
}

void api_stop_modules(struct serve *s)
{
    const struct conf *conf = s->plan->conf;
    for (size_t i = 0; i < conf->nmodules; i++)
        if (conf->modules[i].desc->worker_stop)
            conf->modules[i].desc->worker_stop(&s->procs[i]);
}

void api_free(struct serve *s)
{
    LIST_EACH(it, &timers)
    end_timer(CONTAINER_OF(it, cs_timer, node));
    free(s->procs);
    s->procs = NULL;
    here = NULL;
}
