/* step.h - what has been read becomes requests, and requests go on: one step of a connection at a time, until it has to wait. */
#ifndef SERVE_STEP_H
#define SERVE_STEP_H

#include "serve/conn.h"

bool step_on(struct conn *c);

/* False when it needs more input, an answer, or an empty socket. */
static inline bool step(struct conn *c)
{
    return (c->current || c->in_off != c->in_len) && step_on(c);
}

#endif
