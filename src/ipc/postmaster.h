/* postmaster.h - what the master does for the mail: it takes out the dead, keeps the primary's place, and sees to it that
 * one process that does not read does not stop the others. Nothing here takes the lock but postmaster_hold and
 * postmaster_close. */
#ifndef IPC_POSTMASTER_H
#define IPC_POSTMASTER_H

#include "ipc/region.h"

#include <stdbool.h>

/* Before the first fork, and whenever a primary is wanted and none was: from now on its mail waits for it. 0, -EAGAIN
 * when the lock is taken at the moment, -EEXIST when there is a primary or a place is held. */
int postmaster_hold(struct region *r);
/* Before the last primary is told to end: what is for the primary is refused (RING_NOBODY) from now on, so what it finds
 * when it looks for the last time is all there is. Not closed: the other way round, as postmaster_hold does too. 0, or
 * -EAGAIN. */
int postmaster_close(struct region *r, bool closed);
/* A process has ended, and board_bury was called for it: its place is free, or (a primary that gets a successor) held.
 * Everybody is rung, awake or not. Also to give up a held place: bury its slot with hold = false. */
void postmaster_bury(struct region *r, int slot, bool hold);

struct postmaster_watch {
    uint64_t cursor, since_ms; /* where the slowest stands, and since when */
    bool watching;
};
/* Once a second: the slot to evict, -1 when there is none. Pure but for *w: the slowest cursor has not moved for
 * stall_ms, is more than half a ring behind, and somebody has mail that does not fit. */
int postmaster_look(struct postmaster_watch *w, const struct region *r, uint64_t now_ms,
                    uint64_t stall_ms);
/* It is not waited for any longer; it reports what it missed when it looks again. */
void postmaster_evict(struct region *r, int slot);

#endif
