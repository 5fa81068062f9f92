#include "serve/header.h"

#include "base/clock.h"
#include "base/digits.h"
#include "http/status.h"
#include "http/token.h"
#include "serve/jump.h"
#include "serve/tell.h"

/* ---- Setting fields ---- */

/* A module's word goes into the head only if it cannot break it. */
void header_set_type(struct request *r, const char *type)
{
    cs_str t = type ? str_of(type) : (cs_str){0};
    if (!type)
        return;
    if (http_is_field_value(t))
        r->type = arena_dup(&r->arena, t);
    else
        request_log(r, CS_ERR, NULL, "a media type with bytes that HTTP forbids was left out");
}

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

int header_set(struct request *r, cs_str name, cs_str value, bool add)
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

/* ---- Writing the head ---- */

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

static size_t head_size(const struct request *r, const struct header_body *b)
{
    size_t n = 420 + r->type.n + r->validators.etag.n + b->content_range.n;
    for (const struct request_field *f = r->fields; f; f = f->next)
        n += f->name.n + f->value.n + 4;
    return n;
}

static char *put_length(struct request *r, char *p, const struct header_body *b)
{
    int status = r->status;
    if (b->open || status == 304 || status == 204 || status < 200)
        return p;
    if (b->len >= 0) {
        p = put(p, CS_S("Content-Length: "));
        p = digits_put(p, (uint64_t)b->len);
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
    if (r->validators.etag.p)
        p = PUT_FIELD(p, "ETag", r->validators.etag);
    if (r->validators.mtime >= 0) {
        /* Not later than Date: RFC 9110 section 8.8.2.1. */
        time_t now = clock_wall();
        time_t mtime = r->validators.mtime < now ? r->validators.mtime : now;
        p = PUT_FIELD(p, "Last-Modified",
                      ((cs_str){stamp_file(&r->serve->stamp, mtime), HTTP_DATE_LEN}));
    }
    return p;
}

static char *put_connection(const struct request *r, char *p)
{
    if (!r->keep_alive)
        return put(p, CS_S("Connection: close\r\n"));
    return r->head.minor == 0 ? put(p, CS_S("Connection: keep-alive\r\n")) : p;
}

/* Status line, Server and Date. */
static char *put_start(struct request *r, char *p)
{
    const char *usual = stamp_head(&r->serve->stamp);
    if (r->status == 200 && !r->no_server) {
        memcpy(p, usual, STAMP_LEN);
        return p + STAMP_LEN;
    }
    p = put(p, http_status_line(r->status));
    if (!r->no_server)
        p = put(p, CS_S(STAMP_FIELD));
    return put(p, (cs_str){usual + STAMP_LEN - STAMP_DATE, STAMP_DATE});
}

static char *put_fields(const struct request *r, char *p)
{
    for (const struct request_field *f = r->fields; f; f = f->next) {
        p = put(p, f->name);
        p = put(p, CS_S(": "));
        p = put(p, f->value);
        p = put(p, CS_S("\r\n"));
    }
    return p;
}

char *header_make(struct request *r, const struct header_body *b, size_t room, char **end)
{
    char *start = arena_alloc(&r->arena, head_size(r, b) + room);
    char *p = put_start(r, start);
    if (r->type.p)
        p = PUT_FIELD(p, "Content-Type", r->type);
    p = put_length(r, p, b);
    p = put_validators(r, p);
    if (b->ranges && !r->no_ranges)
        p = put(p, CS_S("Accept-Ranges: bytes\r\n"));
    if (b->content_range.p)
        p = PUT_FIELD(p, "Content-Range", b->content_range);
    p = put_fields(r, p);
    p = put_connection(r, p);
    *end = put(p, CS_S("\r\n"));
    r->out.head += (uint64_t)(*end - start);
    r->answered = true;
    return start;
}

void header_send(struct request *r, const struct header_body *b)
{
    char *end, *start = header_make(r, b, 0, &end);
    out_add_mem(&r->out, &r->arena, start, (size_t)(end - start));
}
