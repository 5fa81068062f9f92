/* rollout.h - the parts of a reload, for each other. What the rest of the master needs of it is in master.h. */
#ifndef PROC_ROLLOUT_H
#define PROC_ROLLOUT_H

#include "conf/diff.h"
#include "proc/master.h"

/* Everybody who asked gets the answer, and the next one in the queue begins. */
void rollout_finish(struct master *m, int code, const char *message, cs_str report);

/* The next one in the queue begins, where there is one. */
void rollout_go_on(struct master *m);

/* ---- room.c ---- */

#define ROOM_LAST_MS                                                                               \
    1000 /* for the requests of the oldest generation, when a third one is to drain */

enum room {
    ROOM_MADE,
    ROOM_LATER, /* somebody has to end first: ask again when one has */
    ROOM_NEVER
};
enum room room_make(struct master *m);

/* ---- retune.c ---- */

/* The differences, to who waits and in the log. */
void retune_tell(struct master *m, const struct conf_diff *d);
/* Tells the running workers. False: new ones are needed. */
bool retune_begin(struct master *m, const struct conf_diff *d);
/* Have they all taken it? Looks again by itself. */
void retune_look(struct master *m);
void retune_cancel(struct master *m);

#define ROLLOUT_PUT_OFF 64
/* "; 1 change waits for a restart", or nothing. */
const char *rollout_put_off(const struct master *m, char out[ROLLOUT_PUT_OFF]);

#endif
