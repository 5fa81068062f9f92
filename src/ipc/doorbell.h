/* doorbell.h - waking a process because of mail. The bell carries nothing, the ring is the queue; so it is rung only where
 * somebody sleeps (ipc_slot.park), and only once until he has heard it (ipc_mail_slot.note).
 *
 * Workers and the primary have SIGUSR1, which they read from a signalfd; where kill fails (no pid yet, another user) and
 * with IPC_DOORBELL_EVENTFD, region->bells[slot]. The master has region->master_bell. */
#ifndef IPC_DOORBELL_H
#define IPC_DOORBELL_H

#include "ipc/region.h"

#include <stdbool.h>

/* After a record has been committed: those it is for, and those who sleep more than half a ring behind. `me` is the slot
 * of the caller, who is awake and counts. */
void doorbell_mail(const struct region *r, int me, const struct ipc_mail_record *rec);
/* The ring is full: everybody who sleeps and has not read all of it. */
void doorbell_nudge(const struct region *r, int me);
/* There is more room, or more is handled: those who wait for that, if any. */
void doorbell_waiters(const struct region *r, int me);
/* Everybody, awake or not, whatever the note says: after a death. */
void doorbell_all(const struct region *r, int me);

/* The process of slot `me` has read its descriptors: from here on it is rung again. True if somebody had rung. */
bool doorbell_hear(const struct region *r, int me);

#endif
