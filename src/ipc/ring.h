/* ring.h - the ring of messages in shared memory: one writer at a time, readers that never lock.
 *
 * A record lies at [head, head + cells) before the head is moved behind it, which is the commit: there are no half
 * records, and a writer that dies before that has written nothing. Nothing in [cursor, head) of a slot that is LIVE or
 * HELD is overwritten. A reader copies a record out and looks at its own state again: when it is LIVE still, the copy
 * is whole. */
#ifndef IPC_RING_H
#define IPC_RING_H

#include "ipc/region.h"

#include <stdbool.h>

/* Whom a message is for, where it is not one slot. */
enum mail_group {
    MAIL_ALL = -1,     /* workers and the primary */
    MAIL_WORKERS = -2, /* the sender too, if it is one */
    MAIL_OTHERS = -3,  /* workers but the sender */
    MAIL_PRIMARY = -4  /* whichever of the two is live, or its place is held */
};

enum ring_result {
    RING_OK,
    RING_BUSY,   /* somebody has the lock */
    RING_FULL,   /* a live reader has not yet read what would be overwritten */
    RING_NOBODY, /* there is no primary, or that incarnation is gone; or it does not take the topic */
    RING_BROKEN /* the lock cannot be recovered: for good */
};

#define RING_SPIN_US 2

/* For messages of this length; more than an eighth of the ring is not taken. */
unsigned ring_cells(size_t len);

/* Is it for the process in that slot? */
bool ring_is_for(const struct ipc_mail_record *rec, int slot);
/* Does the process in that slot, if any, take the topic? */
bool ring_takes(const struct ipc_mail_slot *s, unsigned topic);
/* Is it not overwritten what this one has not read? */
bool ring_gates(const struct ipc_mail_slot *s);
/* Does the master see the messages of the topic? */
static inline bool ring_is_watched(const struct region *r, unsigned topic)
{
    return atomic_load_explicit(&r->mail->watched[topic / 64], memory_order_relaxed) >> topic % 64 &
           1;
}
static inline bool ring_is_primary(int slot)
{
    return slot == IPC_SLOT_PRIMARY_A || slot == IPC_SLOT_PRIMARY_B;
}

/* Takes the lock, spinning at most RING_SPIN_US; after the death of its holder what that left is put right first.
 * `me` counts. RING_OK: then ring_leave. */
enum ring_result ring_enter(struct region *r, struct ipc_mail_slot *me);
/* Waits longer, with naps: for births. At most 10 seconds, then RING_BUSY. */
enum ring_result ring_enter_patiently(struct region *r, struct ipc_mail_slot *me);
void ring_leave(struct region *r);

/* Commits one record. The caller has filled in all but pos, seq, number, cells and check, which are filled in here.
 * Takes the lock itself; copies at most one message while it has it. */
enum ring_result ring_append(struct region *r, int slot, struct ipc_mail_record *rec,
                             const void *data);
/* Would this many cells fit? Without the lock: a hint that is never wrong for long. */
bool ring_has_room(const struct region *r, unsigned cells);
static inline uint64_t ring_head(const struct region *r)
{
    return atomic_load_explicit(&r->mail->head, memory_order_acquire);
}

/* What lies before it is overwritten, or may be at this moment. Who has copied what lies behind it, and then finds it
 * behind it still, has a whole copy. */
static inline uint64_t ring_oldest(const struct region *r)
{
    atomic_thread_fence(memory_order_acquire);
    uint64_t end = atomic_load_explicit(&r->mail->reserved, memory_order_relaxed);
    return end > r->mail->cells ? end - r->mail->cells : 0;
}
/* The first place at or behind `from` of which it is known that a record begins there; `end` when there is none before
 * that. Payloads may look like records, so nobody guesses. */
uint64_t ring_start(const struct region *r, uint64_t from, uint64_t end);

/* The record at pos; false when it makes no sense (damaged, or overwritten meanwhile). */
bool ring_read(const struct region *r, uint64_t pos, struct ipc_mail_record *rec);
/* rec->len bytes; `to` has room for IPC_MAIL_MAX. */
void ring_read_data(const struct region *r, const struct ipc_mail_record *rec, void *to);

static inline void ring_count(struct ipc_mail_slot *me, enum ipc_mail_counter c, uint64_t by)
{
    atomic_store_explicit(&me->counters[c],
                          atomic_load_explicit(&me->counters[c], memory_order_relaxed) + by,
                          memory_order_relaxed);
}

#endif
