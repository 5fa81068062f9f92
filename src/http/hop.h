/* hop.h - fields that are for one connection only, not for who stands behind it (RFC 9110 section 7.6.1). */
#ifndef HTTP_HOP_H
#define HTTP_HOP_H

#include "http/headers.h"

/* Is it a field that a gateway does not pass on? These are Connection and what Connection names among the n fields; Keep-Alive,
 * Proxy-Connection, TE, Trailer, Transfer-Encoding and Upgrade also where it does not name them; and what a client and a
 * proxy tell each other: Proxy-Authenticate, Proxy-Authentication-Info, Proxy-Authorization. (Trailers end here too: the
 * decoder of chunks drops them.) A client chooses what Connection names, so what a gateway adds itself
 * (X-Forwarded-For) it adds behind this question. Content-Length and Host are not among them unless they are
 * named: who writes a head makes them anew. */
bool http_hop_is(cs_str name, const struct http_header *fields, size_t n);

#endif
