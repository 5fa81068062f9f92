/* intake.h - what a connection has read and nobody has taken yet. It stands in a receive buffer, where heads are parsed in place;
 * a connection that waits for a next request has none. */
#ifndef SERVE_INTAKE_H
#define SERVE_INTAKE_H

#include "serve/conn.h"

/* One recv. False when there was nothing to read, or no room. The end and a failure are noted in c. */
bool intake_fill(struct conn *c);

/* More can be read as long as the unread bytes leave some of a buffer free: intake_fill finds or makes room for it. */
static inline bool intake_can_fill(const struct conn *c)
{
    return !c->eof && (!c->in || c->in_len - c->in_off < c->in->cap);
}

static inline size_t intake_left(const struct conn *c)
{
    return c->in_len - c->in_off;
}
static inline char *intake_at(const struct conn *c)
{
    return c->in ? c->in->data + c->in_off : NULL;
}

/* Gives the buffer back, with what is in it. */
void intake_drop(struct conn *c);

/* Reads, so many times at most, what nobody wants. */
void intake_waste(struct conn *c, int times);

#endif
