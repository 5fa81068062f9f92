/* head.h - parser of the head of an HTTP/1 request: RFC 9112 sections 2-7, to the letter.
 *
 * Pure: bytes in, facts out. It keeps pointers into the bytes and copies nothing. What could be read in
 * two ways is refused, never guessed (request smuggling): a bare CR or LF, obs-fold, a blank before the
 * colon, a NUL or other control byte, Content-Length beside Transfer-Encoding, two different
 * Content-Lengths, a list of them, a sign or blank inside the number, a coding other than exactly
 * "chunked", Transfer-Encoding in HTTP/1.0, no Host or two in HTTP/1.1, a Host that is not
 * uri-host [":" port], a request line with more or other than single blanks.
 * Empty lines (CRLF) before the request line are skipped (section 2.2), at most 2.
 *
 * Incremental: call it again with the same bytes and more behind them; `scanned` remembers how far the
 * search for the end has come, so a head that arrives byte by byte costs linear time. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/headers.h"
#include "http/method.h"

struct http_limits {
    size_t max_head;    /* bytes of request line and fields together: 431 */
    size_t max_uri;     /* bytes of the request target: 414 */
    size_t max_headers; /* number of fields: 431; at most the room in http_head.headers */
};

enum http_target_form { HTTP_ORIGIN_FORM, HTTP_ABSOLUTE_FORM, HTTP_AUTHORITY_FORM, HTTP_ASTERISK_FORM };

struct http_head {
    /* In: where fields go. */
    struct http_header *headers;
    size_t headers_cap;

    /* Out, when http_head_parse returned > 0. */
    size_t nheaders;
    cs_str method_text;
    enum http_method method;
    cs_str target;               /* as sent */
    enum http_target_form form;
    cs_str target_path;          /* "/a/b" of origin and absolute form ("/" when absolute form has none) */
    cs_str target_query;         /* behind "?"; p == NULL when there is no "?" */
    int minor;                   /* 0 or 1: HTTP/1.minor. A higher minor of HTTP/1 counts as 1 */
    cs_str host;                 /* host of the absolute form, else of Host; without port; may be empty */
    int port;                    /* of the same; -1 when not given */
    int64_t content_length;      /* -1: not given */
    bool chunked;                /* Transfer-Encoding: chunked */
    bool keep_alive;             /* what the client asks for: version and Connection */
    bool expect_continue;        /* Expect: 100-continue, in HTTP/1.1 */
    const struct http_header *field[HTTP_FIELD_COUNT]; /* first field of each known name, or NULL */

    /* Out, when it returned < 0. */
    const char *error;           /* one sentence, for the log */

    /* State between calls; zero for a new head. */
    size_t scanned;
};

/* >0: the head is complete, that many bytes long (with the empty lines before it).
 *  0: more bytes are needed.
 * <0: refused; minus the status to answer: 400, 414, 431, 501 (coding), 505 (major version not 1),
 *     417 (Expect other than 100-continue). */
long http_head_parse(struct http_head *h, const char *bytes, size_t n, const struct http_limits *lim);

/* First field with that name, any case; NULL if there is none. */
const struct http_header *http_head_find(const struct http_head *h, cs_str name);

#endif
