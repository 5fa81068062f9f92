/* reply.h - parser of the head of an HTTP/1 response: RFC 9112 sections 2.2, 4, 5 and 6, to the letter.
 *
 * Pure and incremental like head.h: it keeps pointers into the bytes and copies nothing, it is called again with the same bytes
 * (at another address, if need be) and more behind them, and its answer does not depend on how they were cut. What could be
 * read in two ways is refused (response splitting and smuggling): all that field.h calls wrong, an empty line before the
 * status line (who has asked for one response takes nothing else from the connection), a status that is not three
 * digits from 100 to 599, Content-Length beside Transfer-Encoding, a sign or blank inside the number, a coding other than
 * exactly "chunked", more than one Transfer-Encoding, Transfer-Encoding in HTTP/1.0 (RFC 9112 section 6.1: such framing is faulty),
 * a 1xx response that announces a body.
 *
 * More than one Content-Length is refused too, also of the same value and as a list ("5, 5"), though RFC 9110 section 8.6
 * would let a recipient take that for one: a server that sends it has put together a head out of two, and which of them
 * the other fields belong to nobody knows.
 *
 * The reason phrase may be missing, with or without its blank. 101 is not looked at: that nothing was asked to upgrade is known to
 * who has asked. */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include "http/field.h"
#include "http/head.h"

struct http_reply {
    /* In: where fields go. */
    struct http_header *headers;
    size_t headers_cap;

    /* Out, when http_reply_parse returned > 0. */
    size_t nheaders;
    int status;             /* 100..599; 1xx: another head follows */
    int minor;              /* 0 or 1: HTTP/1.minor. A higher minor of HTTP/1 counts as 1 */
    cs_str reason;          /* may be empty */
    int64_t content_length; /* -1: not given. It is not always the body's: http/reply_body.h */
    bool chunked;           /* Transfer-Encoding: chunked */
    bool
        keep_alive; /* what the server says: version and Connection; false as well where a 204 announces a body,
                             * which others might read */

    /* Out, when it returned < 0. */
    const char *error; /* one sentence, for the log */

    /* Private; zero for a new head: place.scanned is enough. */
    struct field_place place;
    const char *base; /* where the bytes were at the last call */
    bool in_fields, coding_given, close_asked;
};

/* >0: the head is complete, that many bytes long. 0: more bytes are needed. -1: refused, also when it is called again; the
 * connection must be closed. Of the limits max_head and max_headers count. */
long http_reply_parse(struct http_reply *r, const char *bytes, size_t n,
                      const struct http_limits *lim);

/* For the next head on the same connection (behind a 1xx). */
static inline void http_reply_again(struct http_reply *r)
{
    r->place.scanned = 0;
}

/* First field with that name, any case; NULL if there is none. */
const struct http_header *http_reply_find(const struct http_reply *r, cs_str name);

#endif
