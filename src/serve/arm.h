/* arm.h - which listening sockets a worker is woken by at the moment. */
#ifndef SERVE_ARM_H
#define SERVE_ARM_H

#include "serve/ctx.h"

/* After turn_init: a point for each socket of each listener, none armed. */
void arm_init(struct serve *s);
bool arm_is_point(const struct loop_io *io);
/* Do several workers wait for it at once? */
bool arm_is_shared(const struct serve *s, const struct accept_point *p);
/* Before the turn is tried: do the sockets belong to others now, have we had more than our share? */
void arm_look(struct serve *s);
/* After it: registers what has changed. Nothing while draining. */
void arm_update(struct serve *s);
/* Shared sockets are to be registered anew: who was woken by one may not have been able to use it. */
void arm_afresh(struct serve *s);
/* Lets all go, so that the descriptors may be closed. */
void arm_stop(struct serve *s);
void arm_free(struct serve *s);

#endif
