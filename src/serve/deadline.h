/* deadline.h - what a connection waits for, and until when. On the way of a request this is a store: the timer itself is only
 * moved when it would fire too late. */
#ifndef SERVE_DEADLINE_H
#define SERVE_DEADLINE_H

#include "serve/conn.h"

/* Before the first one. */
void deadline_init(struct conn *c);

/* It has ms for it from now on; 0: as long as it likes. */
void deadline_set(struct conn *c, enum conn_wait wait, int64_t ms);
static inline void deadline_none(struct conn *c)
{
    c->wait = CONN_WAIT_NONE;
}

/* The client does not take its answer: write_timeout, from the last byte on that it has taken. */
void deadline_set_write(struct conn *c);

#endif
