/* reply_body.h - where the body of a response ends (RFC 9112 section 6.3), and its bytes without their framing.
 *
 *   to HEAD, and 1xx, 204, 304   there is none, whatever the head says
 *   Transfer-Encoding: chunked   with the last chunk and its trailers, which are dropped (http/body.h)
 *   Content-Length               after so many bytes
 *   else                         with the connection
 *
 * Pure and incremental: it is fed what has arrived and hands out slices of those same bytes. What stands behind the end is not
 * looked at. */
#ifndef HTTP_REPLY_BODY_H
#define HTTP_REPLY_BODY_H

#include "http/body.h"
#include "http/reply.h"

struct http_reply_body {
    const char *error; /* one sentence, when refused or cut short */

    /* Private. */
    int end;        /* what it ends with */
    bool over;      /* it has been told so */
    bool keep;      /* what the server says */
    int64_t length; /* -1: not known */
    uint64_t left;  /* bytes of a Content-Length still to come */
    struct http_chunked chunked;
};

/* r: a whole head, not needed afterwards. to_head: the request was HEAD. */
void http_reply_body_begin(struct http_reply_body *b, const struct http_reply *r, bool to_head);

/* As http_chunked_next: HTTP_CHUNKED_DATA with a slice of the body; call again with the rest. HTTP_CHUNKED_MORE: all is used.
 * HTTP_CHUNKED_DONE: the body is whole, *used points behind it; at once, also with n == 0, when there is no more to come.
 * Negative: refused, b->error. A body that ends with the connection is never done before http_reply_body_end. */
int http_reply_body_next(struct http_reply_body *b, const char *in, size_t n, size_t *used,
                         cs_str *data);

/* The connection has ended, and all that came was given to http_reply_body_next until it said other than DATA. 0: the body is
 * whole. -1: something is missing, or was refused before: b->error. */
int http_reply_body_end(struct http_reply_body *b);

/* Bytes of the whole body, where that is known before they come (0: there is none); else -1. */
static inline int64_t http_reply_body_length(const struct http_reply_body *b)
{
    return b->length;
}

/* May another request follow on this connection, when the body is over? Known from the beginning on; no longer true once
 * something was refused. (And not if bytes came behind the body: nobody asked for them.) */
bool http_reply_body_keeps(const struct http_reply_body *b);

#endif
