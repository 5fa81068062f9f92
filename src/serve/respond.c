#include "serve/respond.h"

#include "base/clock.h"
#include "http/status.h"
#include "module/crumb.h"
#include "serve/filter.h"
#include "serve/header.h"
#include "serve/jump.h"
#include "serve/parts.h"
#include "serve/task.h"

#include <unistd.h>

/* A body up to this size is copied behind the head: one piece less to send. */
#define COPY_MAX    2048
#define KEEP_UNREAD (64 * 1024)

void respond_release_foreign(const struct respond_body *b)
{
    if (b->release) {
        uint32_t was = crumb_enter(b->module, CRUMB_RELEASE);
        b->release(b->arg);
        crumb_leave(was);
    } else {
        close(b->fd);
    }
}

void respond_settle_body(struct request *r)
{
    if (request_body_over(r) || r->sink == REQUEST_SINK_STREAM)
        return;
    bool small = r->body == REQUEST_BODY_CHUNKED || r->body_left <= KEEP_UNREAD;
    if (r->keep_alive && small && !r->expect_continue) {
        r->sink = REQUEST_SINK_DISCARD;
        r->paused = false;
        return;
    }
    r->sink = REQUEST_SINK_DISCARD;
    r->keep_alive = false;
    r->conn->unread = true;
    r->body = REQUEST_BODY_NONE;
}

void respond_settle_end(struct request *r)
{
    if (r->serve->draining)
        r->keep_alive = false;
    respond_settle_body(r);
}

void respond_complete(struct request *r)
{
    r->complete = true;
    r->pending = false;
    timer_clear(&r->serve->loop->timers, &r->patience);
    if (!request_body_over(r) && r->sink == REQUEST_SINK_STREAM) {
        r->sink = REQUEST_SINK_DISCARD;
        r->paused = false;
        r->keep_alive =
            r->keep_alive && (r->body == REQUEST_BODY_CHUNKED || r->body_left <= KEEP_UNREAD);
    }
    if (!r->keep_alive && r->head.keep_alive)
        r->conn->unread = true; /* the client may send another request: see linger.h */
    conn_wake(r->conn);
}

void respond_add_body(struct request *r, const struct respond_body *b)
{
    struct out_piece *piece = arena_alloc(&r->arena, sizeof *piece);
    *piece = (struct out_piece){.p = b->p,
                                .n = (size_t)b->len,
                                .fd = b->fd,
                                .off = b->off,
                                .release = b->release,
                                .arg = b->arg,
                                .module = b->module};
    out_add(&r->out, piece);
}

void respond_emit(struct request *r, const struct header_body *head, const struct respond_body *b)
{
    respond_settle_end(r);
    bool with_body = b->len && !r->no_body && !http_status_bodiless(r->status);
    bool copy = with_body && b->p && b->len <= COPY_MAX;
    char *end;
    char *start = header_make(r, head, copy ? (size_t)b->len : 0, &end);
    if (copy) {
        memcpy(end, b->p, (size_t)b->len);
        end += b->len;
    }
    out_add_mem(&r->out, &r->arena, start, (size_t)(end - start));
    if (with_body && !copy)
        respond_add_body(r, b);
    else
        respond_release(b);
    respond_complete(r);
}

/* Head, and the body through the filters. That may take long, but whoever has answered has no say any more. */
static void emit_filtered(struct request *r, const struct respond_body *b)
{
    if (r->sink == REQUEST_SINK_STREAM)
        r->sink = REQUEST_SINK_WAIT;
    respond_settle_end(r);
    r->whole = true;
    timer_clear(&r->serve->loop->timers, &r->patience);
    header_send(r, &(struct header_body){.len = filter_len(r->filter)});
    if (!r->no_body && !http_status_bodiless(r->status) && !r->dry) {
        filter_source(r, b);
        return;
    }
    respond_release(b);
    respond_complete(r);
}

bool respond_ask_filters(struct request *r)
{
    int status = filter_head(r);
    if (status)
        respond_page(r, status, NULL);
    return !status;
}

/* True when the client's conditions have decided. */
static bool answer_conditions(struct request *r, const struct respond_body *b)
{
    const struct http_header *const *f = r->head.field;
    if (!f[HTTP_FIELD_IF_NONE_MATCH] && !f[HTTP_FIELD_IF_MODIFIED_SINCE] &&
        !f[HTTP_FIELD_IF_MATCH] && !f[HTTP_FIELD_IF_UNMODIFIED_SINCE])
        return false;
    int code = http_cond_eval(&r->head, &r->validators, true, clock_wall());
    if (!code)
        return false;
    respond_release(b);
    if (code == 412) {
        respond_page(r, 412, NULL);
        return true;
    }
    r->status = code;
    if (!respond_filters_agree(r)) /* they see the type that a 200 would have */
        return true;
    r->type = (cs_str){0};
    header_set(r, CS_S("Content-Encoding"), (cs_str){0}, false);
    respond_emit(r, &(struct header_body){.len = 0}, &(struct respond_body){.fd = -1});
    return true;
}

bool respond_may(const struct request *r)
{
    return !r->answered && !r->heading && !r->jumping && !jump_is_past(r);
}

int respond(struct request *r, int status, const char *type, struct respond_body body)
{
    if (!respond_may(r) || status < 200 || status > 599) {
        respond_release(&body);
        if (task_is_past(r))
            return CS_CLOSED;
        request_log(r, CS_ERR, NULL, "an answer with status %d was ignored: %s", status,
                    respond_may(r) ? "not a final status" : "the request has one already");
        return CS_ERROR;
    }
    r->status = status = jump_status(r, status);
    r->promised = r->open ? -1 : (int64_t)body.len;
    header_set_type(r, type);
    bool plain = status != 200 || (r->head.method != HTTP_GET && r->head.method != HTTP_HEAD);
    bool valid = r->validators.etag.p || r->validators.mtime >= 0;
    if (!plain && valid && answer_conditions(r, &body))
        return CS_OK;
    bool ranges = !plain && body.ranges;
    if (ranges && parts_fail(r, &body))
        return CS_OK;
    if (!respond_filters_agree(r)) {
        respond_release(&body);
        return CS_OK;
    }
    if (r->filter) {
        emit_filtered(r, &body);
        return CS_OK;
    }
    if (ranges && parts_answer(r, &body))
        return CS_OK;
    respond_emit(r, &(struct header_body){.len = (int64_t)body.len, .ranges = ranges}, &body);
    return CS_OK;
}

/* What a module has said about the body that it meant to send does not hold for a page of ours. */
static void forget_body(struct request *r)
{
    static const char *const names[] = {"Content-Encoding", "Content-Language",
                                        "Content-Disposition", "Cache-Control", "Expires"};
    size_t n = r->status == 412 || r->status == 416 || r->status >= 500 ? 5 : 3;
    for (size_t i = 0; i < n && r->fields; i++)
        header_set(r, str_of(names[i]), (cs_str){0}, false);
    r->validators = (struct http_validators){.mtime = -1};
}

static void send_page(struct request *r, int status, const char *extra)
{
    const char *reason = http_status_reason(status);
    cs_str page =
        arena_printf(&r->arena,
                     "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%d "
                     "%s</title></head>\n"
                     "<body><h1>%d %s</h1>\n<p>%s%scserver</p></body></html>\n",
                     status, reason, status, reason, extra ? extra : "", extra ? "</p>\n<p>" : "");
    if (http_status_bodiless(status))
        page = (cs_str){0};
    respond(r, status, page.n ? "text/html; charset=utf-8" : NULL,
            (struct respond_body){.p = page.p, .fd = -1, .len = page.n});
}

void respond_page(struct request *r, int status, const char *extra)
{
    if (r->answered || r->heading || r->jumping)
        return;
    if (status < 200 || status > 599)
        status = 500;
    if (jump_has_page(r) && (status < 300 || status >= 400))
        status = jump_page_failed(r, status);
    r->status = status;
    if (!http_status_bodiless(status))
        forget_body(r);
    if (!jump_to_page(r, status))
        send_page(r, status, extra);
}

void respond_cut(struct request *r)
{
    if (r->complete)
        return;
    r->keep_alive = false;
    r->aborted = true;
    r->conn->torn = r->conn->torn || r->to_end;
    respond_complete(r);
}

void respond_abort(struct request *r)
{
    if (!r->whole)
        respond_cut(r);
}

void respond_refuse(struct request *r, int status)
{
    r->refused = r->refused || r->reading;
    r->reading = false;
    r->keep_alive = false;
    r->conn->unread = true;
    r->conn->last_one = true;
    r->body = REQUEST_BODY_NONE;
    if (!r->answered) {
        respond_page(r, status, NULL);
        return;
    }
    if (!r->whole) {
        r->conn->torn = r->conn->torn || (r->to_end && !r->complete);
        respond_complete(r);
    }
}

void respond_continue(struct request *r)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!r->expect_continue)
        return;
    r->expect_continue = false;
    if (r->answered || r->body_seen)
        return;
    out_add_mem(&r->out, &r->arena, line, sizeof line - 1);
    r->out.head += sizeof line - 1;
    conn_wake(r->conn);
}

int respond_detach(struct request *r, int status)
{
    if (!respond_may(r))
        return CS_ERROR;
    r->status = status;
    r->detached = true;
    if (!respond_filters_agree(r))
        return CS_ERROR;
    r->no_body = r->no_body || http_status_bodiless(status);
    r->keep_alive = false;
    header_send(r, &(struct header_body){.len = -1, .open = true});
    respond_complete(r);
    return CS_OK;
}
