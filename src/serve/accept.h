/* accept.h - how a worker comes to connections: the turn, the listeners, the batch.
 *
 * Each socket of each listener is armed by the listener's policy:
 *
 *   turn       while this worker has the turn (ipc/turn.h)
 *   exclusive  always, and the kernel chooses whom it wakes (EPOLLEXCLUSIVE)
 *   reuseport  while this worker is the socket's owner
 *
 * A worker that is full leaves the first two kinds to those that are not. When all are full, the connection that idles
 * longest makes room for a new one, or the new one is answered with 503. */
#ifndef SERVE_ACCEPT_H
#define SERVE_ACCEPT_H

#include "serve/ctx.h"

/* Watches the bell and the listeners (not yet armed). 0 or -errno. */
int accept_init(struct serve *s);
/* Other settings hold: serve_tune. */
void accept_tune(struct serve *s);
/* From now on this worker accepts. */
void accept_open(struct serve *s);
/* The steps before and after epoll_wait, in the order ipc/turn.h asks for. */
void accept_before_wait(struct serve *s);
void accept_after_wait(struct serve *s);
/* The number of connections has changed, or whether we rest or drain. */
void accept_refit(struct serve *s);
/* No more connections: lets the listeners go, so that their descriptors may be closed. */
void accept_stop(struct serve *s);
void accept_free(struct serve *s);

#endif
