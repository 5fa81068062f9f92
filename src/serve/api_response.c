#include "serve/api_calls.h"

#include "base/clock.h"
#include "http/token.h"
#include "module/crumb.h"
#include "serve/filter.h"
#include "serve/header.h"
#include "serve/jump.h"
#include "serve/pieces.h"
#include "serve/request.h"
#include "serve/respond.h"
#include "serve/task.h"

static int set_field(struct request *r, const char *name, cs_str value, bool add)
{
    return task_is_past(r) ? CS_CLOSED : header_set(r, str_of(name), value, add);
}

int api_set_header(cs_req *pub, const char *name, cs_str value)
{
    return set_field(request_of(pub), name, value, false);
}

int api_add_header(cs_req *pub, const char *name, cs_str value)
{
    return set_field(request_of(pub), name, value, true);
}

int api_validators(cs_req *pub, cs_str etag, int64_t mtime)
{
    struct request *r = request_of(pub);
    if (task_is_past(r))
        return CS_CLOSED;
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

int api_reply(cs_req *pub, int status, const char *type, cs_str body)
{
    return reply_copy(request_of(pub), status, type, body, false);
}

int api_replyf(cs_req *pub, int status, const char *type, const char *fmt, ...)
{
    struct request *r = request_of(pub);
    va_list ap;
    va_start(ap, fmt);
    cs_str body = api_vformat(r, fmt, ap);
    va_end(ap);
    return body.p ? reply_copy(r, status, type, body, true) : CS_NOMEM;
}

int api_reply_ref(cs_req *pub, int status, const char *type, cs_str body, cs_cb release, void *arg)
{
    return respond(request_of(pub), status, type,
                   (struct respond_body){.p = body.n ? body.p : "",
                                         .fd = -1,
                                         .len = body.n,
                                         .release = release,
                                         .arg = arg,
                                         .module = crumb_module(),
                                         .ranges = true});
}

int api_reply_file(cs_req *pub, int status, const char *type, int fd, int64_t off, int64_t len,
                   cs_cb release, void *arg)
{
    struct respond_body body = {.fd = fd,
                                .off = (uint64_t)off,
                                .len = (uint64_t)len,
                                .release = release,
                                .arg = arg,
                                .module = crumb_module(),
                                .ranges = true};
    if (off < 0 || len < 0 || len > INT64_MAX - off) {
        respond_release(&body);
        return CS_ERROR;
    }
    return respond(request_of(pub), status, type, body);
}

int api_fail(cs_req *pub, int status, const char *fmt, ...)
{
    struct request *r = request_of(pub);
    const char *who = request_culprit(r);
    va_list ap;
    if (task_is_past(r))
        return CS_CLOSED;
    va_start(ap, fmt);
    request_vlog(r, CS_ERR, who, fmt, ap);
    va_end(ap);
    serve_count_one(r->serve, IPC_HANDLER_ERRORS);
    if (r->complete || r->jumping || jump_is_past(r) || (r->whole && !filter_runs(r)))
        return CS_ERROR;
    if (r->answered)
        respond_cut(r);
    else if (r->heading)
        r->failed = status >= 200 && status <= 599 ? status : 500;
    else
        respond_page(r, status, NULL);
    return CS_OK;
}

int api_page(cs_req *pub, int status)
{
    struct request *r = request_of(pub);
    if (status < 200 || status > 599 || r->answered || r->heading || r->jumping || jump_is_past(r))
        return CS_ERROR;
    respond_page(r, status, NULL);
    return CS_OK;
}

int api_start(cs_req *pub, int status, const char *type, int64_t len)
{
    return pieces_start(request_of(pub), status, type, len);
}

int api_send(cs_req *pub, cs_str data, int last)
{
    struct request *r = request_of(pub);
    return task_is_closed(r) ? CS_CLOSED : pieces_send(r, data, last != 0);
}

int api_on_drain(cs_req *pub, cs_req_cb cb, void *arg)
{
    struct request *r = request_of(pub);
    if (filter_runs(r)) /* it would take the place of who answers */
        return CS_ERROR;
    if (task_is_closed(r))
        return CS_CLOSED;
    r->on_drain = cb;
    r->on_drain_arg = arg;
    r->on_drain_module = crumb_module();
    if (!r->out.queued) /* also when the connection is at work: it may be past looking */
        loop_later(r->serve->loop, &r->conn->task);
    return CS_OK;
}

/* ---- For filters and on_log ---- */

int api_status(cs_req *pub)
{
    const struct request *r = request_of(pub);
    return r->answered || r->heading ? r->status : 0;
}

cs_str api_response_header(cs_req *pub, const char *name)
{
    const struct request *r = request_of(pub);
    if (str_eq_nocase(str_of(name), CS_S("Content-Type")))
        return r->type;
    for (const struct request_field *f = r->fields; f; f = f->next)
        if (str_eq_nocase(f->name, str_of(name)))
            return f->value;
    return (cs_str){0};
}

int64_t api_body_length(cs_req *pub)
{
    const struct request *r = request_of(pub);
    return r->heading ? r->promised : -1;
}

int api_filter_body(cs_req *pub, const void *mod, int64_t len)
{
    return filter_want(request_of(pub), mod, len);
}

int64_t api_elapsed_us(cs_req *pub)
{
    return (int64_t)(clock_us_now() - request_of(pub)->started_us);
}

int64_t api_bytes_sent(cs_req *pub)
{
    return (int64_t)request_of(pub)->out.sent;
}
