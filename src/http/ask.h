/* ask.h - the head of a request that this server sends as a client (RFC 9112 section 3).
 *
 * Nothing that it is given can end a line or begin another one: what HTTP does not allow at a place is refused, never repaired. */
#ifndef HTTP_ASK_H
#define HTTP_ASK_H

#include "base/buf.h"
#include "http/headers.h"

#define HTTP_ASK_CHUNKED (-1)

struct http_ask {
    cs_str method; /* a token, but not CONNECT; case matters */
    cs_str target; /* "/path?query" as it is sent; "/" is put in front where it is empty or begins
                    * with "?" (http/url.h); "*" of OPTIONS */
    cs_str host;   /* the Host field: host[:port], not empty */
    const struct http_header *fields; /* .field is not looked at */
    size_t nfields;
    int64_t body_len; /* 0: none, and POST, PUT and PATCH say so; or HTTP_ASK_CHUNKED */
};

/* Appends the head, HTTP/1.1, to out: request line, Host, the fields in their order (their values without blanks around
 * them), framing. 0; or -1 with *error, one sentence, and out as it was. Refused among the fields are those that are made
 * here or that are for the connection, which is not the caller's: Host, Content-Length, Transfer-Encoding, Connection,
 * Keep-Alive, Proxy-Connection, TE, Trailer, Upgrade, Expect. */
int http_ask_write(const struct http_ask *a, struct buf *out, const char **error);

#endif
