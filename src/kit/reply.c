#include "kit/reply.h"

#include <stdlib.h>

static cs_str rest(const struct reply *r)
{
    return (cs_str){r->in.p + r->taken, r->in.n - r->taken};
}

cs_str reply_field(cs_str head, cs_str name)
{
    cs_str line;
    for (size_t at = 0; at < head.n; at += line.n + 2) {
        const char *p = head.p + at, *end = memmem(p, head.n - at, "\r\n", 2);
        line = (cs_str){p, end ? (size_t)(end - p) : head.n - at};
        const char *colon = memchr(p, ':', line.n);
        if (at && colon && str_eq_nocase((cs_str){p, (size_t)(colon - p)}, name))
            return str_trim((cs_str){colon + 1, (size_t)(p + line.n - colon) - 1});
    }
    return (cs_str){0};
}

/* How the body ends. */
static enum reply_phase framing(struct reply *r, cs_str head)
{
    cs_str coding = reply_field(head, CS_S("Transfer-Encoding"));
    cs_str length = reply_field(head, CS_S("Content-Length"));
    if ((r->to_head && !r->is_request) || r->status == 204 || r->status == 304)
        return REPLY_WHOLE;
    if (coding.p)
        return str_eq_nocase(coding, CS_S("chunked")) ? REPLY_CHUNKED : REPLY_BAD;
    if (!length.p)
        return r->is_request ? REPLY_WHOLE : REPLY_UNTIL_CLOSE;
    r->left = strtoull(length.p, NULL, 10);
    return r->left ? REPLY_LENGTH : REPLY_WHOLE;
}

/* A head; what says 100 Continue is passed over. False: it is not whole yet. */
static bool take_head(struct reply *r)
{
    cs_str in = rest(r);
    const char *end = memmem(in.p, in.n, "\r\n\r\n", 4);
    if (!end)
        return false;
    cs_str head = {in.p, (size_t)(end - in.p)};
    int status = head.n > 12 && !memcmp(head.p, "HTTP/1.", 7) ? atoi(head.p + 9) : 0;
    if (!r->is_request && (status < 100 || status > 599)) {
        r->phase = REPLY_BAD;
        return true;
    }
    r->head = r->taken;
    r->taken += head.n + 4;
    r->head_end = r->taken - 4;
    if (!r->is_request && status < 200)
        return true;
    r->to_head |= r->is_request && str_starts(head, CS_S("HEAD "));
    r->status = status;
    r->phase = framing(r, head);
    return true;
}

static bool take_length(struct reply *r)
{
    cs_str in = rest(r);
    size_t n = in.n < r->left ? in.n : (size_t)r->left;
    if (!n)
        return false;
    buf_add(&r->body, in.p, n);
    r->taken += n;
    r->left -= n;
    if (!r->left)
        r->phase = REPLY_WHOLE;
    return true;
}

static bool take_chunked(struct reply *r)
{
    cs_str in = rest(r), data;
    size_t used;
    if (!in.n)
        return false;
    int rc = http_chunked_next(&r->chunked, in.p, in.n, &used, &data);
    if (rc < 0) {
        r->phase = REPLY_BAD;
        return false;
    }
    if (rc == HTTP_CHUNKED_DATA)
        buf_add_str(&r->body, data);
    r->taken += used;
    if (rc == HTTP_CHUNKED_DONE)
        r->phase = REPLY_WHOLE;
    return true;
}

static bool take_all(struct reply *r)
{
    cs_str in = rest(r);
    buf_add_str(&r->body, in);
    r->taken += in.n;
    return false;
}

static bool step(struct reply *r)
{
    if (r->taken == r->in.n)
        return false;
    switch (r->phase) {
    case REPLY_HEAD:
        return take_head(r);
    case REPLY_LENGTH:
        return take_length(r);
    case REPLY_CHUNKED:
        return take_chunked(r);
    case REPLY_UNTIL_CLOSE:
        return take_all(r);
    case REPLY_WHOLE:
    case REPLY_BAD:
        break;
    }
    return false;
}

void reply_take(struct reply *r)
{
    while (step(r))
        ;
}

void reply_end(struct reply *r, bool good)
{
    if (r->phase == REPLY_UNTIL_CLOSE && good)
        r->phase = REPLY_WHOLE;
}

void reply_free(struct reply *r)
{
    buf_free(&r->in);
    buf_free(&r->body);
}
