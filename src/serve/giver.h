/* giver.h - what a worker that drains does with its streams: it gives away those that can move, to workers that the master
 * names one after the other (FDPASS_HEIR), and closes the rest one by one, so that their clients do not come back all at
 * once.
 *
 *   able --on_save, parcel--> sent --TAKEN--> the heir's; closed here, which the client does not notice
 *    |  ^                      |----FULL, LEAVING, heir gone--> able, for the next heir
 *    v  |                      '----UNKNOWN----------> stays
 *   busy (has something to send)
 *
 * A stream that was sent is not touched before the answer is there, so it is never written to by two, and none is lost
 * when the heir dies. One at which several have died stays: a bug of its module would take worker after worker with it. */
#ifndef SERVE_GIVER_H
#define SERVE_GIVER_H

#include "serve/conn.h"

struct giver;

/* The worker begins to drain: looks at what streams there are, and asks the master for an heir when one can move. */
struct giver *giver_new(struct serve *s);
/* When all connections are gone; NULL is fine. */
void giver_free(struct giver *g);

/* A channel to an heir (taken over), for so many streams at most. */
void giver_heir(struct giver *g, int channel, unsigned most);
/* All streams shall have ended by then (monotonic ms): those that do not move are closed evenly over the time. 0: they may
 * stay as long as they like. */
void giver_until(struct giver *g, uint64_t until);

/* The server stops: no heir comes, and they end as soon as they can without coming back all at once. */
void giver_leave(struct giver *g);

/* c has become a stream. */
void giver_add(struct giver *g, struct conn *c);
/* The stream has sent all it had: CONN_BUSY -> CONN_ABLE. */
void giver_ready(struct giver *g, struct conn *c);
/* c, which is on its way, ends here. */
void giver_forget(struct giver *g, const struct conn *c);

#endif
