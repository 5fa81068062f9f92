/* head.h - parser of the head of an HTTP/1 request: RFC 9112 sections 2-7, to the letter.
 *
 * Pure: bytes in, facts out. It keeps pointers into the bytes and copies nothing. What could be
 * read in two ways is refused, never guessed (request smuggling): a bare CR or LF, obs-fold, a
 * blank before the colon, a NUL or other control byte, Content-Length beside Transfer-Encoding,
 * more than one Content-Length (even twice the same), a list of them, a sign or blank inside the
 * number, a coding other than exactly "chunked", more than one Transfer-Encoding, Transfer-Encoding
 * in HTTP/1.0, no Host or two in HTTP/1.1, a Host that is not uri-host [":" port], a request line
 * with more or other than single blanks, a target with "#" or with bytes outside of ASCII, CONNECT
 * without host and port, user names in an absolute target. Empty lines (CRLF) before the request
 * line are skipped (section 2.2), at most 2.
 *
 * Incremental: call it again with the same bytes (at another address, if need be) and more behind
 * them. It goes on where it stopped, so a head that arrives byte by byte costs linear time. What is
 * wrong is refused at the first byte that makes it wrong; the answer does not depend on how the
 * bytes were cut. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/headers.h"
#include "http/method.h"

struct http_limits {
    size_t max_head;    /* bytes of the head, end included: 431, or 414 when the target alone is too
                           long */
    size_t max_uri;     /* bytes of the request target: 414 */
    size_t max_headers; /* number of fields: 431; at most the room in http_head.headers */
};

enum http_target_form {
    HTTP_ORIGIN_FORM,
    HTTP_ABSOLUTE_FORM,
    HTTP_AUTHORITY_FORM,
    HTTP_ASTERISK_FORM
};

struct http_head {
    /* In: where fields go. */
    struct http_header *headers;
    size_t headers_cap;

    /* Out, when http_head_parse returned > 0. */
    size_t nheaders;
    cs_str method_text;
    enum http_method method;
    cs_str target; /* as sent */
    enum http_target_form form;
    cs_str target_path;     /* "/a/b" of origin and absolute form ("/" when absolute form has none);
                             * empty in the other two */
    cs_str target_query;    /* behind "?"; p == NULL when there is no "?" */
    int minor;              /* 0 or 1: HTTP/1.minor. A higher minor of HTTP/1 counts as 1 */
    cs_str host;            /* host of absolute and authority form, else of Host (section 3.2.2);
                             * without port; may be empty */
    int port;               /* of the same; -1 when not given */
    int64_t content_length; /* -1: not given */
    bool chunked;           /* Transfer-Encoding: chunked */
    bool keep_alive;        /* what the client asks for: version and Connection */
    bool expect_continue;   /* Expect: 100-continue, in HTTP/1.1 */
    const struct http_header *field[HTTP_FIELD_COUNT]; /* first field of each known name, or NULL;
                                                        * [HTTP_FIELD_OTHER] is always NULL */

    /* Out, when it returned < 0. */
    const char *error; /* one sentence, for the log */

    /* State between calls; zero for a new head (this one is enough). */
    size_t scanned; /* bytes that were looked at */

    /* Private to head.c while scanned > 0. */
    const char *base; /* where the bytes were at the last call */
    size_t line;      /* offset of the line being read */
    size_t mark; /* offset of the part of that line being read; of a field: of its colon, or 0 */
    int part;
    bool close_asked; /* Connection had "close" */
};

/* >0: the head is complete, that many bytes long (with the empty lines before it).
 *  0: more bytes are needed.
 * <0: refused; minus the status to answer: 400, 414, 431, 505 (major version not 1, the HTTP/2
 * preface), 417 (Expect other than 100-continue, HTTP/1.1), 501 (codings before a final "chunked";
 * where chunked is not the last one the length is unknown: 400, RFC 9112 section 6.3). The
 * connection must be closed. */
long http_head_parse(struct http_head *h, const char *bytes, size_t n,
                     const struct http_limits *lim);

/* First field with that name, any case; NULL if there is none. */
const struct http_header *http_head_find(const struct http_head *h, cs_str name);

#endif
