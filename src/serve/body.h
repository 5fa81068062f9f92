/* body.h - the way of a request's body from the connection to whoever wants it: collected, streamed to on_data, or read and
 * dropped. It never reads ahead of its taker: what is not taken stays in the connection's buffer, and then in the socket. */
#ifndef SERVE_BODY_H
#define SERVE_BODY_H

#include "serve/request.h"

/* Takes body bytes from in[0..n) as far as they are wanted; returns how many were used, or a
 * negative status (the request is then answered with it). */
long body_feed(struct request *r, const char *in, size_t n);

/* Gives on_data a body that is over already, in one piece: nothing, or what has been collected for another handler. CS_OK,
 * or what on_data has returned: the request has then ended. */
int body_deliver_all(struct request *r);

/* Does it want body bytes now? */
bool body_hungry(const struct request *r);

#endif
