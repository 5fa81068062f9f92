/* postmaster.c - states are changed by one atomic step each, because the process may change its own at the same time. */
#include "ipc/postmaster.h"

#include "ipc/doorbell.h"
#include "ipc/ring.h"

#include <errno.h>

static uint32_t state_of(const struct region *r, int slot)
{
    return atomic_load(&r->mailboxes[slot].state);
}

/* All topics, whichever the first primary will take; nothing is owed yet. */
static void open_place(struct region *r)
{
    struct ipc_mail_slot *s = &r->mailboxes[IPC_SLOT_PRIMARY_A];
    for (unsigned i = 0; i < IPC_TOPICS / 64; i++)
        atomic_store_explicit(&s->topics[i], UINT64_MAX, memory_order_relaxed);
    for (unsigned t = 0; t < IPC_TOPICS; t++) {
        uint64_t sent =
            atomic_load_explicit(&r->topics[t].sent[IPC_MAIL_TO_ALL], memory_order_relaxed) +
            atomic_load_explicit(&r->topics[t].sent[IPC_MAIL_TO_PRIMARY], memory_order_relaxed) +
            atomic_load_explicit(&s->extra[t], memory_order_relaxed);
        uint64_t done = atomic_load_explicit(&s->delivered[t], memory_order_relaxed) +
                        atomic_load_explicit(&s->lost[t], memory_order_relaxed);
        atomic_store_explicit(&s->base[t], sent - done, memory_order_relaxed);
    }
    atomic_store_explicit(&s->cursor, ring_head(r), memory_order_relaxed);
    atomic_store_explicit(&s->handled, ring_head(r), memory_order_relaxed);
    if (atomic_load(&r->mail->used) <= IPC_SLOT_PRIMARY_A)
        atomic_store(&r->mail->used, IPC_SLOT_PRIMARY_A + 1);
    atomic_store(&r->mail->closed, 0);
    atomic_store(&s->state, IPC_MAIL_HELD);
}

int postmaster_hold(struct region *r)
{
    if (ring_enter(r, &r->mailboxes[IPC_SLOT_MASTER]) != RING_OK)
        return -EAGAIN;
    bool there = state_of(r, IPC_SLOT_PRIMARY_A) != IPC_MAIL_OUT ||
                 state_of(r, IPC_SLOT_PRIMARY_B) != IPC_MAIL_OUT;
    if (!there)
        open_place(r);
    ring_leave(r);
    return there ? -EEXIST : 0;
}

/* Under the lock: who has found the primary open has committed before. */
int postmaster_close(struct region *r, bool closed)
{
    if (ring_enter(r, &r->mailboxes[IPC_SLOT_MASTER]) != RING_OK)
        return -EAGAIN;
    atomic_store(&r->mail->closed, closed);
    ring_leave(r);
    return 0;
}

static uint32_t after_death(uint32_t state, bool hold)
{
    if (!hold || state == IPC_MAIL_OUT)
        return IPC_MAIL_OUT;
    return state == IPC_MAIL_LIVE || state == IPC_MAIL_HELD ? IPC_MAIL_HELD : IPC_MAIL_FORFEIT;
}

void postmaster_bury(struct region *r, int slot, bool hold)
{
    struct ipc_mail_slot *s = &r->mailboxes[slot];
    uint32_t state = atomic_load(&s->state);
    while (!atomic_compare_exchange_weak(&s->state, &state, after_death(state, hold))) {
    }
    atomic_store(&s->waits, 0);
    atomic_store(&s->note, 0);
    atomic_store_explicit(&s->outbox, 0, memory_order_relaxed);
    doorbell_all(r, IPC_SLOT_MASTER);
}

/* The slowest one that is waited for. */
static int find_slowest(const struct region *r, uint64_t *cursor)
{
    int slowest = -1;
    int used = (int)atomic_load(&r->mail->used);
    for (int i = 0; i < used; i++) {
        const struct ipc_mail_slot *s = &r->mailboxes[i];
        uint64_t at = atomic_load_explicit(&s->cursor, memory_order_acquire);
        if (ring_gates(s) && (slowest < 0 || at < *cursor)) {
            slowest = i;
            *cursor = at;
        }
    }
    return slowest;
}

static bool somebody_waits(const struct region *r)
{
    int used = (int)atomic_load(&r->mail->used);
    for (int i = 0; i < used; i++)
        if (atomic_load(&r->mailboxes[i].waits) & IPC_MAIL_WAITS_ROOM)
            return true;
    return false;
}

int postmaster_look(struct postmaster_watch *w, const struct region *r, uint64_t now_ms,
                    uint64_t stall_ms)
{
    uint64_t cursor = 0;
    int slowest = find_slowest(r, &cursor);
    if (slowest < 0 || ring_head(r) - cursor <= r->mail->cells / 2 || !somebody_waits(r)) {
        w->watching = false;
        return -1;
    }
    if (!w->watching || cursor != w->cursor) {
        *w = (struct postmaster_watch){.cursor = cursor, .since_ms = now_ms, .watching = true};
        return -1;
    }
    return now_ms - w->since_ms >= stall_ms ? slowest : -1;
}

void postmaster_evict(struct region *r, int slot)
{
    struct ipc_mail_slot *s = &r->mailboxes[slot];
    uint32_t live = IPC_MAIL_LIVE, held = IPC_MAIL_HELD;
    if (!atomic_compare_exchange_strong(&s->state, &live, IPC_MAIL_LAGGING) &&
        !atomic_compare_exchange_strong(&s->state, &held, IPC_MAIL_FORFEIT))
        return;
    atomic_store_explicit(&r->mail->evictions,
                          atomic_load_explicit(&r->mail->evictions, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    doorbell_all(r, IPC_SLOT_MASTER);
}
