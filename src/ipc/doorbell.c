/* doorbell.c - three pairs of steps need one total order, so both sides use seq_cst (or a fence):
 *
 *   sending     commit, fence, load park                      sleeping   store park, fence, load head
 *   ringing     exchange note, ring                           hearing    read the bell, store note = 0, load head
 *   making room store cursor, fence, load waiters and waits   waiting    store waits, waiters, fence, load cursors
 *
 * In each pair at least one side sees what the other did. */
#include "ipc/doorbell.h"

#include "ipc/ring.h"
#include "os/fd.h"

#include <signal.h>

static void ring_bell(const struct region *r, int slot)
{
    if (slot == IPC_SLOT_MASTER) {
        fd_event_ring(r->master_bell);
        return;
    }
    if (atomic_load_explicit(&r->mail->doorbell, memory_order_relaxed) == IPC_DOORBELL_SIGNAL) {
        pid_t pid = atomic_load(&r->slots[slot].pid);
        if (pid > 0 && kill(pid, SIGUSR1) == 0)
            return;
    }
    fd_event_ring(r->bells[slot]);
}

static int used_slots(const struct region *r)
{
    return (int)atomic_load_explicit(&r->mail->used, memory_order_acquire);
}

static bool is_parked(const struct region *r, int slot)
{
    return atomic_load(&r->slots[slot].park) == IPC_PARK;
}

/* Nobody is there, or a place is kept for one who is not. */
static bool is_absent(const struct ipc_mail_slot *s)
{
    uint32_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
    return state != IPC_MAIL_LIVE && state != IPC_MAIL_LAGGING;
}

static void wake(const struct region *r, int me, int slot)
{
    struct ipc_mail_slot *my = &r->mailboxes[me];
    if (!is_parked(r, slot)) {
        ring_count(my, IPC_MAIL_BELLS_SAVED_RUNNING, 1);
    } else if (atomic_exchange(&r->mailboxes[slot].note, 1)) {
        ring_count(my, IPC_MAIL_BELLS_SAVED_FLAG, 1);
    } else {
        ring_bell(r, slot);
        ring_count(my, IPC_MAIL_BELLS_SENT, 1);
    }
}

static void nudge(const struct region *r, int me, uint64_t lag)
{
    uint64_t head = ring_head(r);
    for (int i = 0, used = used_slots(r); i < used; i++) {
        const struct ipc_mail_slot *s = &r->mailboxes[i];
        uint64_t cursor = atomic_load_explicit(&s->cursor, memory_order_relaxed);
        if (i != me && !is_absent(s) && is_parked(r, i) && cursor < head && head - cursor > lag)
            wake(r, me, i);
    }
}

void doorbell_nudge(const struct region *r, int me)
{
    atomic_thread_fence(memory_order_seq_cst);
    nudge(r, me, 0);
}

/* Cursors are written all the time, so they are only looked at once in a quarter of the ring. */
void doorbell_mail(const struct region *r, int me, const struct ipc_mail_record *rec)
{
    uint64_t quarter = r->mail->cells / 4, end = rec->pos + rec->cells;

    atomic_thread_fence(memory_order_seq_cst);
    if (rec->to >= 0) {
        if (rec->to != me)
            wake(r, me, rec->to);
    } else {
        for (int i = 0, used = used_slots(r); i < used; i++) {
            const struct ipc_mail_slot *s = &r->mailboxes[i];
            if (i != me && !is_absent(s) && ring_is_for(rec, i) && ring_takes(s, rec->topic))
                wake(r, me, i);
        }
    }
    if (me != IPC_SLOT_MASTER && ring_is_watched(r, rec->topic))
        wake(r, me, IPC_SLOT_MASTER);
    if (rec->pos / quarter != end / quarter)
        nudge(r, me, r->mail->cells / 2);
}

/* The hint is taken back before the slots are looked at: who comes after that sets it again. */
void doorbell_waiters(const struct region *r, int me)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load(&r->mail->waiters) || !atomic_exchange(&r->mail->waiters, 0))
        return;
    for (int i = 0, used = used_slots(r); i < used; i++)
        if (i != me && atomic_load(&r->mailboxes[i].waits))
            wake(r, me, i);
}

/* Not only those who sleep: the dead one may have set the note of somebody who was just leaving, and would then sleep
 * with a note that keeps every other bell silent. */
void doorbell_all(const struct region *r, int me)
{
    for (int i = 0, used = used_slots(r); i < used; i++) {
        struct ipc_mail_slot *s = &r->mailboxes[i];
        if (i != me && !is_absent(s)) {
            atomic_store(&s->note, 1);
            ring_bell(r, i);
            ring_count(&r->mailboxes[me], IPC_MAIL_BELLS_SENT, 1);
        }
    }
}

bool doorbell_hear(const struct region *r, int me)
{
    struct ipc_mail_slot *s = &r->mailboxes[me];
    if (!atomic_load(&s->note))
        return false;
    atomic_store(&s->note, 0);
    atomic_thread_fence(memory_order_seq_cst);
    return true;
}
