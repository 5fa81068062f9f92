/* accept.h - how a worker comes to connections: the turn, the listeners, the batch. */
#ifndef SERVE_ACCEPT_H
#define SERVE_ACCEPT_H

#include "serve/ctx.h"

/* Watches the bell and the listeners (not yet armed). 0 or -errno. */
int accept_init(struct serve *s);
/* From now on this worker takes turns. */
void accept_open(struct serve *s);
/* The steps before and after epoll_wait, in the order ipc/turn.h asks for. */
void accept_before_wait(struct serve *s);
void accept_after_wait(struct serve *s);
/* No more turns. */
void accept_stop(struct serve *s);
void accept_free(struct serve *s);

#endif
