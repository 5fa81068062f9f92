/* client.h - who the client is (request_client of request.h): the other end of the connection, unless one that is trusted says
 * otherwise. First a balancer may, with a PROXY header before all requests ([listen] proxy_protocol), then the field that
 * [listen] client_from names, for each request: of its addresses, from the end, the first one that is in `trusted` no more. Where
 * something else than an address stands, or nothing, it is the last one before. */
#ifndef SERVE_CLIENT_H
#define SERVE_CLIENT_H

#include "serve/conn.h"

/* Reads the PROXY header that a connection has to begin with, from its unread bytes: > 0 its length, 0: more bytes are needed,
 * < 0: it is none, or from nobody who may send one; told and counted, nothing may be answered. */
long client_read_proxy(struct conn *c);

/* Why the client is who it is, where a field of the request names one: "X-Forwarded-For of 10.0.0.1 says so"; n 0: no such field. */
cs_str client_why(struct request *r);

#endif
