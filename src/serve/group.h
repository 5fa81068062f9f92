/* group.h - streams that get the same (cs_group). A message is made once; the streams queue references to it, a slice of
 * them in each turn of the loop. Each has them in order: whoever has been given least comes first, and gets all that it
 * has not had. */
#ifndef SERVE_GROUP_H
#define SERVE_GROUP_H

#include "event/loop.h"
#include "serve/feed.h"

#define GROUP_SLICE 256 /* streams in one turn */

struct group *group_new(struct loop *l, const cs_group_opts *opts);
/* Closes the streams behind what has been sent; frees itself once that is done. */
void group_end(struct group *g);

/* CS_OK, CS_CLOSED (the stream is), 503 (the group is full). Takes it out of another group. */
int group_join(struct group *g, struct feed *f);
/* Takes f out of its group at once. */
void group_leave(struct feed *f);
/* Gives f what its group has been sent until now, so that it stands before what comes next. May end f. */
void group_catch_up(struct feed *f);

/* Takes m over, with its one reference. */
void group_send(struct group *g, struct feed_msg *m);
/* Whose it is. */
unsigned group_module(const struct group *g);
size_t group_size(const struct group *g);
/* Has it ended? Its streams are closed then, though it is still at work on that. */
bool group_has_ended(const struct group *g);

static inline cs_group *group_public(struct group *g)
{
    return (cs_group *)(void *)g;
}
struct group *group_of(const cs_group *g);

#endif
