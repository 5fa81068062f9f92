#include "serve/respond.h"

#include "base/clock.h"
#include "http/date.h"
#include "http/multipart.h"
#include "http/range.h"
#include "http/status.h"
#include "http/token.h"
#include "module/crumb.h"
#include "serve/filter.h"
#include "serve/jump.h"
#include "serve/tell.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define COPY_MAX                                                                                   \
    2048 /* a body up to this size is copied behind the head: one piece less to send               \
          */
#define RANGES_MAX  16
#define KEEP_UNREAD (64 * 1024)

/* What the head needs to know about the body. */
struct shape {
    int64_t len;          /* -1: unknown */
    bool ranges;          /* "Accept-Ranges: bytes" */
    bool open;            /* ends with the connection */
    cs_str content_range; /* "bytes 0-1/2"; p == NULL: none */
};

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

/* Must the connection end, because the worker drains or because of a body that nobody will read?
 * Decided before the head says so. */
static void settle_end(struct request *r)
{
    if (r->serve->draining)
        r->keep_alive = false;
    respond_settle_body(r);
}

static void complete(struct request *r)
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
        r->conn->unread = true; /* the client may send another request: see finish() in conn.c */
    conn_wake(r->conn);
}

/* ---- The head ---- */

static char *put(char *to, cs_str s)
{
    memcpy(to, s.p, s.n);
    return to + s.n;
}

static char *put_field(char *to, const char *name, size_t n, cs_str value)
{
    memcpy(to, name, n);
    to = put(to + n, value);
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

#define PUT_FIELD(to, lit, value) put_field(to, lit ": ", sizeof(lit ": ") - 1, value)

static char *put_number(char *to, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do
        digits[sizeof digits - ++n] = (char)('0' + v % 10);
    while (v /= 10);
    memcpy(to, digits + sizeof digits - n, n);
    return to + n;
}

static size_t head_size(const struct request *r, const struct shape *s)
{
    size_t n = 420 + r->type.n + r->validators.etag.n + s->content_range.n;
    for (const struct request_field *f = r->fields; f; f = f->next)
        n += f->name.n + f->value.n + 4;
    return n;
}

static char *put_length(struct request *r, char *p, const struct shape *s)
{
    int status = r->status;
    if (s->open || status == 304 || status == 204 || status < 200)
        return p;
    if (s->len >= 0) {
        p = put(p, CS_S("Content-Length: "));
        p = put_number(p, (uint64_t)s->len);
        return put(p, CS_S("\r\n"));
    }
    if (r->head.minor == 1) {
        r->chunked_out = !r->no_body;
        return put(p, CS_S("Transfer-Encoding: chunked\r\n"));
    }
    r->keep_alive = false; /* HTTP/1.0 */
    r->to_end = !r->no_body;
    return p;
}

static char *put_validators(const struct request *r, char *p)
{
    char date[HTTP_DATE_LEN + 1];
    if (r->validators.etag.p)
        p = PUT_FIELD(p, "ETag", r->validators.etag);
    if (r->validators.mtime >= 0) {
        /* Not later than Date: RFC 9110 section 8.8.2.1. */
        time_t now = clock_wall();
        http_date_format(r->validators.mtime < now ? r->validators.mtime : now, date);
        p = PUT_FIELD(p, "Last-Modified", ((cs_str){date, HTTP_DATE_LEN}));
    }
    return p;
}

static char *put_connection(const struct request *r, char *p)
{
    if (!r->keep_alive)
        return put(p, CS_S("Connection: close\r\n"));
    return r->head.minor == 0 ? put(p, CS_S("Connection: keep-alive\r\n")) : p;
}

/* Writes the head into the arena with `room` bytes left behind it. Returns its start; *end is where
 * it ends. */
static char *make_head(struct request *r, const struct shape *s, size_t room, char **end)
{
    char *start = arena_alloc(&r->arena, head_size(r, s) + room);
    char *p = put(start, http_status_line(r->status));
    if (!r->no_server)
        p = put(p, CS_S("Server: cserver\r\n"));
    p = put(p, serve_date(r->serve));
    if (r->type.p)
        p = PUT_FIELD(p, "Content-Type", r->type);
    p = put_length(r, p, s);
    p = put_validators(r, p);
    if (s->ranges && !r->no_ranges)
        p = put(p, CS_S("Accept-Ranges: bytes\r\n"));
    if (s->content_range.p)
        p = PUT_FIELD(p, "Content-Range", s->content_range);
    for (const struct request_field *f = r->fields; f; f = f->next) {
        p = put(p, f->name);
        p = put(p, CS_S(": "));
        p = put(p, f->value);
        p = put(p, CS_S("\r\n"));
    }
    p = put_connection(r, p);
    *end = put(p, CS_S("\r\n"));
    r->out.head += (uint64_t)(*end - start);
    r->answered = true;
    return start;
}

/* A module's word goes into the head only if it cannot break it. */
static void set_type(struct request *r, const char *type)
{
    cs_str t = type ? str_of(type) : (cs_str){0};
    if (!type)
        return;
    if (http_is_field_value(t))
        r->type = arena_dup(&r->arena, t);
    else
        request_log(r, CS_ERR, NULL, "a media type with bytes that HTTP forbids was left out");
}

/* ---- Complete answers ---- */

static void add_body(struct request *r, const struct respond_body *b)
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

/* Head and body as they are. */
static void emit(struct request *r, const struct shape *s, const struct respond_body *b)
{
    settle_end(r);
    bool with_body = b->len && !r->no_body && !http_status_bodiless(r->status);
    bool copy = with_body && b->p && b->len <= COPY_MAX;
    char *end;
    char *start = make_head(r, s, copy ? (size_t)b->len : 0, &end);
    if (copy)
        end = put(end, (cs_str){b->p, (size_t)b->len});
    out_add_mem(&r->out, &r->arena, start, (size_t)(end - start));
    if (with_body && !copy)
        add_body(r, b);
    else
        respond_release(b);
    complete(r);
}

/* Head, and the body through the filters. That may take long, but whoever has answered has no say any more. */
static void emit_filtered(struct request *r, const struct respond_body *b)
{
    if (r->sink == REQUEST_SINK_STREAM)
        r->sink = REQUEST_SINK_WAIT;
    settle_end(r);
    r->whole = true;
    timer_clear(&r->serve->loop->timers, &r->patience);
    struct shape s = {.len = filter_len(r->filter)};
    char *end;
    char *start = make_head(r, &s, 0, &end);
    out_add_mem(&r->out, &r->arena, start, (size_t)(end - start));
    if (!r->no_body && !http_status_bodiless(r->status) && !r->dry) {
        filter_source(r, b);
        return;
    }
    respond_release(b);
    complete(r);
}

/* The route's header filters, which may make another answer of this one. False: they have. */
static bool ask_filters(struct request *r)
{
    int status = filter_head(r);
    if (status)
        respond_page(r, status, NULL);
    return !status;
}

static inline bool filters_agree(struct request *r)
{
    return r->filtered || !(r->hooks & (ROUTE_HEADER_FILTER | ROUTE_BODY_FILTER)) || ask_filters(r);
}

static void keep(void *arg)
{
    (void)arg;
}

/* The part of the body that a range names; only the last one releases it. */
static struct respond_body part_of(const struct respond_body *b, struct http_range g, bool last)
{
    struct respond_body part = *b;
    part.off = b->off + g.first;
    part.p = b->p ? b->p + g.first : NULL;
    part.len = g.last - g.first + 1;
    if (!last) {
        part.release = keep;
        part.module = 0;
    }
    return part;
}

static void emit_one_range(struct request *r, const struct respond_body *b, struct http_range g)
{
    r->status = 206;
    struct respond_body part = part_of(b, g, true);
    struct shape s = {.len = (int64_t)part.len};
    s.content_range = arena_printf(&r->arena, "bytes %llu-%llu/%llu", (unsigned long long)g.first,
                                   (unsigned long long)g.last, (unsigned long long)b->len);
    emit(r, &s, &part);
}

/* 128 bits that nobody can guess. Several ranges are rare: they may cost a call. */
static void make_salt(const struct request *r, uint64_t salt[2])
{
    if (getrandom(salt, 2 * sizeof *salt, GRND_NONBLOCK) != (ssize_t)(2 * sizeof *salt))
        salt[0] = salt[1] = r->id;
}

static void emit_many_ranges(struct request *r, const struct respond_body *b,
                             const struct http_range *g, int n)
{
    struct http_multipart m;
    uint64_t salt[2];
    make_salt(r, salt);
    http_multipart_make(&m, &r->arena, g, n, b->len, r->type, salt);
    r->status = 206;
    r->type = m.type;
    settle_end(r);
    char *end;
    struct shape s = {.len = (int64_t)m.len};
    char *start = make_head(r, &s, 0, &end);
    out_add_mem(&r->out, &r->arena, start, (size_t)(end - start));
    for (int i = 0; i < n; i++) {
        struct respond_body part = part_of(b, g[i], i == n - 1);
        out_add_mem(&r->out, &r->arena, m.heads[i].p, m.heads[i].n);
        add_body(r, &part);
    }
    out_add_mem(&r->out, &r->arena, m.tail.p, m.tail.n);
    complete(r);
}

/* How many there are; 0: all of the body, < 0: none of them is in it. */
static int wanted_ranges(const struct request *r, uint64_t len, struct http_range *g)
{
    const struct http_header *field = r->head.field[HTTP_FIELD_RANGE];
    if (!field || r->head.method != HTTP_GET ||
        !http_cond_range_ok(&r->head, &r->validators, clock_wall()))
        return 0;
    return http_range_parse(field->value, len, g, RANGES_MAX);
}

static void refuse_ranges(struct request *r, const struct respond_body *b)
{
    cs_str all = arena_printf(&r->arena, "bytes */%llu", (unsigned long long)b->len);
    respond_release(b);
    respond_set_field(r, CS_S("Content-Range"), all, false);
    respond_page(r, 416, NULL);
}

/* Before the header filters, so that they see the status and have the last word on the page. */
static bool ranges_fail(struct request *r, const struct respond_body *b)
{
    struct http_range g[RANGES_MAX];
    if (r->hooks & ROUTE_BODY_FILTER || wanted_ranges(r, b->len, g) >= 0)
        return false;
    refuse_ranges(r, b);
    return true;
}

/* True when a Range field has been dealt with. */
static bool answer_ranges(struct request *r, const struct respond_body *b)
{
    struct http_range g[RANGES_MAX];
    int n = wanted_ranges(r, b->len, g);
    if (n == 0)
        return false;
    if (n == 1)
        emit_one_range(r, b, g[0]);
    else if (n > 1)
        emit_many_ranges(r, b, g, n);
    else
        refuse_ranges(r, b);
    return true;
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
    if (!filters_agree(r)) /* they see the type that a 200 would have */
        return true;
    r->type = (cs_str){0};
    respond_set_field(r, CS_S("Content-Encoding"), (cs_str){0}, false);
    emit(r, &(struct shape){.len = 0}, &(struct respond_body){.fd = -1});
    return true;
}

static bool may_answer(const struct request *r)
{
    return !r->answered && !r->heading && !r->jumping && !jump_is_past(r);
}

int respond(struct request *r, int status, const char *type, struct respond_body body)
{
    if (!may_answer(r) || status < 200 || status > 599) {
        respond_release(&body);
        request_log(r, CS_ERR, NULL, "an answer with status %d was ignored: %s", status,
                    may_answer(r) ? "not a final status" : "the request has one already");
        return CS_ERROR;
    }
    r->status = status = jump_status(r, status);
    r->promised = r->open ? -1 : (int64_t)body.len;
    set_type(r, type);
    bool plain = status != 200 || (r->head.method != HTTP_GET && r->head.method != HTTP_HEAD);
    bool valid = r->validators.etag.p || r->validators.mtime >= 0;
    if (!plain && valid && answer_conditions(r, &body))
        return CS_OK;
    bool ranges = !plain && body.ranges;
    if (ranges && ranges_fail(r, &body))
        return CS_OK;
    if (!filters_agree(r)) {
        respond_release(&body);
        return CS_OK;
    }
    if (r->filter) {
        emit_filtered(r, &body);
        return CS_OK;
    }
    if (ranges && answer_ranges(r, &body))
        return CS_OK;
    emit(r, &(struct shape){.len = (int64_t)body.len, .ranges = ranges}, &body);
    return CS_OK;
}

/* What a module has said about the body that it meant to send does not hold for a page of ours. */
static void forget_body(struct request *r)
{
    static const char *const names[] = {"Content-Encoding", "Content-Language",
                                        "Content-Disposition", "Cache-Control", "Expires"};
    size_t n = r->status == 412 || r->status == 416 || r->status >= 500 ? 5 : 3;
    for (size_t i = 0; i < n && r->fields; i++)
        respond_set_field(r, str_of(names[i]), (cs_str){0}, false);
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
    complete(r);
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
        complete(r);
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

/* ---- Answers in pieces ---- */

int respond_start(struct request *r, int status, const char *type, int64_t len)
{
    if (!may_answer(r) || status < 200 || status > 599 || len < -1)
        return CS_ERROR;
    r->status = status = jump_status(r, status);
    set_type(r, type);
    r->promised = len;
    if (!filters_agree(r))
        return CS_ERROR;
    r->no_body = r->no_body || http_status_bodiless(status);
    if (r->filter) {
        filter_pieces(r, len);
        len = filter_len(r->filter);
    }
    settle_end(r);
    timer_clear(&r->serve->loop->timers, &r->patience);
    char *end;
    char *start = make_head(r, &(struct shape){.len = len}, 0, &end);
    out_add_mem(&r->out, &r->arena, start, (size_t)(end - start));
    conn_wake(r->conn);
    return CS_OK;
}

int respond_detach(struct request *r, int status)
{
    if (!may_answer(r))
        return CS_ERROR;
    r->status = status;
    r->detached = true;
    if (!filters_agree(r))
        return CS_ERROR;
    r->no_body = r->no_body || http_status_bodiless(status);
    r->keep_alive = false;
    char *end;
    char *start = make_head(r, &(struct shape){.len = -1, .open = true}, 0, &end);
    out_add_mem(&r->out, &r->arena, start, (size_t)(end - start));
    complete(r);
    return CS_OK;
}

/* A piece on the heap, framed as a chunk where needed: a stream may be endless, an arena may not.
 */
static void queue_copy(struct request *r, cs_str data, bool last)
{
    char head[20];
    size_t nhead = r->chunked_out && data.n ? http_chunk_head(head, data.n) : 0;
    cs_str tail = {0};
    if (r->chunked_out)
        tail = !last ? CS_S("\r\n") : data.n ? CS_S("\r\n0\r\n\r\n") : CS_S("0\r\n\r\n");
    size_t n = nhead + data.n + tail.n;
    if (!n)
        return;
    struct out_piece *piece = malloc(sizeof *piece + n);
    check(piece != NULL);
    char *p = (char *)(piece + 1);
    *piece = (struct out_piece){.p = p, .n = n, .fd = -1, .release = free, .arg = piece};
    p = put(p, (cs_str){head, nhead});
    if (data.n)
        p = put(p, data);
    if (tail.n)
        put(p, tail);
    r->out.head += nhead + tail.n;
    out_add(&r->out, piece);
}

int respond_put(struct request *r, cs_str data, bool last)
{
    r->body_sent += data.n;
    if ((data.n || last) && !r->no_body)
        queue_copy(r, data, last);
    if (last) {
        complete(r);
        return CS_OK;
    }
    conn_wake(r->conn);
    return r->out.queued >= RESPOND_HIGH_WATER ? CS_AGAIN : CS_OK;
}

int respond_send(struct request *r, cs_str data, bool last)
{
    if (!r->answered || r->complete)
        return CS_ERROR;
    if (r->conn->broken || r->conn->closed)
        return CS_CLOSED;
    if (r->filter && !r->no_body)
        return filter_send(r, data, last);
    if (r->promised >= 0 && r->body_sent + data.n > (uint64_t)r->promised) {
        request_log(r, CS_ERR, NULL, "more body than the %lld bytes announced",
                    (long long)r->promised);
        respond_abort(r);
        return CS_ERROR;
    }
    if (last && r->promised >= 0 && r->body_sent + data.n < (uint64_t)r->promised && !r->no_body) {
        request_log(r, CS_ERR, NULL, "less body than the %lld bytes announced; closing",
                    (long long)r->promised);
        respond_put(r, data, false);
        respond_abort(r);
        return CS_ERROR;
    }
    return respond_put(r, data, last);
}

/* ---- Fields ---- */

static bool reserved(cs_str name)
{
    static const char *const names[] = {"Content-Length", "Transfer-Encoding", "Connection", "Date",
                                        "Keep-Alive",     "Upgrade",           "Trailer"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, str_of(names[i])))
            return true;
    return false;
}

/* What a header filter says of a field stands in place of what the server would make of it. */
static void take_over(struct request *r, cs_str name)
{
    if (str_eq_nocase(name, CS_S("Server")))
        r->no_server = true;
    else if (str_eq_nocase(name, CS_S("Accept-Ranges")))
        r->no_ranges = true;
    else if (str_eq_nocase(name, CS_S("ETag")))
        r->validators.etag = (cs_str){0};
    else if (str_eq_nocase(name, CS_S("Last-Modified")))
        r->validators.mtime = -1;
}

int respond_set_field(struct request *r, cs_str name, cs_str value, bool add)
{
    if (r->answered || r->jumping)
        return CS_CLOSED;
    if (!http_is_token(name) || !http_is_field_value(value) || reserved(name))
        return CS_ERROR;
    if (r->heading)
        take_over(r, name);
    if (r->trace)
        tell_field(r, name, value);
    if (str_eq_nocase(name, CS_S("Content-Type"))) {
        r->type = value.n ? arena_dup(&r->arena, value) : (cs_str){0};
        return CS_OK;
    }
    struct request_field **at = &r->fields;
    while (*at)
        if (!add && str_eq_nocase((*at)->name, name))
            *at = (*at)->next;
        else
            at = &(*at)->next;
    if (!value.n)
        return CS_OK;
    struct request_field *f = arena_alloc(&r->arena, sizeof *f);
    *f = (struct request_field){.name = arena_dup(&r->arena, name),
                                .value = arena_dup(&r->arena, value),
                                .of_page = jump_has_page(r) && r->jump->inside};
    *at = f;
    return CS_OK;
}
