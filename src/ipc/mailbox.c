/* mailbox.c - one process's side of the mail: publishing, draining, sleeping. Joining and leaving are in membership.c. */
#include "ipc/mailbox.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/doorbell.h"
#include "ipc/membership.h"
#include "ipc/receipt.h"
#include "ipc/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAKE_US 1000

static bool is_live(const struct mailbox *mb)
{
    return atomic_load_explicit(&mb->me->state, memory_order_acquire) == IPC_MAIL_LIVE;
}

static void raise_to(_Atomic uint64_t *max, uint64_t value)
{
    if (value > atomic_load_explicit(max, memory_order_relaxed))
        atomic_store_explicit(max, value, memory_order_relaxed);
}

/* ---- Reading ---- */

static bool is_mine(const struct mailbox *mb, const struct ipc_mail_record *rec)
{
    if (rec->topic == IPC_MAIL_PAD || !(mb->topics[rec->topic / 64] >> rec->topic % 64 & 1))
        return false;
    if (!ring_is_for(rec, mb->slot) || rec->pos < mb->since[rec->topic])
        return false;
    if (rec->to < 0 || rec->to_incarnation == mb->incarnation)
        return true;
    ring_count(mb->me, IPC_MAIL_STALE, 1);
    return false;
}

static bool is_watched(const struct mailbox *mb, const struct ipc_mail_record *rec)
{
    return mb->slot == IPC_SLOT_MASTER && rec->topic != IPC_MAIL_PAD &&
           ring_is_watched(mb->region, rec->topic);
}

static void set_handled(struct mailbox *mb)
{
    if (!mb->news)
        atomic_store_explicit(&mb->me->handled, mb->cursor, memory_order_release);
}

static void advance(struct mailbox *mb, const struct ipc_mail_record *rec, bool mine)
{
    mb->cursor += rec->cells;
    atomic_store_explicit(&mb->me->cursor, mb->cursor, memory_order_release);
    if (!mine) {
        set_handled(mb);
        if (rec->topic != IPC_MAIL_PAD)
            ring_count(mb->me, IPC_MAIL_SKIPPED, 1);
    }
}

/* Who publishes much and seldom drains is itself among those that are waited for: what is not for it, it can pass over.
 * Not from a callback, whose message is not handled yet. */
static bool pass_over_foreign(struct mailbox *mb)
{
    uint64_t head = ring_head(mb->region), before = mb->cursor;
    struct ipc_mail_record rec;

    while (!mb->calling && mb->cursor != head) {
        bool foreign =
            ring_read(mb->region, mb->cursor, &rec) && !is_mine(mb, &rec) && !is_watched(mb, &rec);
        atomic_thread_fence(memory_order_acquire);
        if (!foreign || !is_live(mb))
            break;
        advance(mb, &rec, false);
    }
    if (mb->cursor == before)
        return false;
    doorbell_waiters(mb->region, mb->slot);
    return true;
}

/* ---- Publishing ---- */

/* What others must know of what we wait for; before we sleep it is said aloud (mailbox_wait_ms). */
static void update_waits(struct mailbox *mb)
{
    uint32_t waits = (mailbox_outbox_empty(mb) ? 0 : IPC_MAIL_WAITS_ROOM) |
                     (list_empty(&mb->receipts) ? 0 : IPC_MAIL_WAITS_HANDLED);
    if (waits != atomic_load_explicit(&mb->me->waits, memory_order_relaxed))
        atomic_store(&mb->me->waits, waits);
    atomic_store_explicit(&mb->me->outbox, mb->outbox.bytes, memory_order_relaxed);
    raise_to(&mb->me->outbox_max, mb->outbox.bytes);
}

static enum ring_result attempt(struct mailbox *mb, struct ipc_mail_record *rec, const void *data,
                                struct mail_receipt *receipt)
{
    enum ring_result rc = ring_append(mb->region, mb->slot, rec, data);
    if (rc == RING_FULL && pass_over_foreign(mb))
        rc = ring_append(mb->region, mb->slot, rec, data);
    switch (rc) {
    case RING_OK:
        ring_count(mb->me, IPC_MAIL_PUBLISHED, 1);
        if (receipt) {
            receipt->state = MAIL_RECEIPT_SENT;
            receipt->rec = *rec;
        }
        doorbell_mail(mb->region, mb->slot, rec);
        break;
    case RING_BUSY:
        mb->busy = true;
        ring_count(mb->me, IPC_MAIL_BUSY, 1);
        break;
    case RING_FULL:
        ring_count(mb->me, IPC_MAIL_FULL, 1);
        doorbell_nudge(mb->region, mb->slot);
        break;
    case RING_NOBODY:
        ring_count(mb->me, IPC_MAIL_STALE, 1);
        if (receipt)
            receipt->state = MAIL_RECEIPT_DROPPED;
        break;
    case RING_BROKEN:
        if (!mb->broken)
            log_error("the lock of the mailbox cannot be recovered: no messages until the next "
                      "restart");
        mb->broken = true;
        break;
    }
    return rc;
}

static void flush(struct mailbox *mb)
{
    struct outbox_entry *e = outbox_first(&mb->outbox);
    if (!e)
        return;
    for (; e; e = outbox_first(&mb->outbox)) {
        enum ring_result rc = attempt(mb, &e->rec, e->data, e->receipt);
        if (rc == RING_BUSY || rc == RING_FULL)
            break;
        outbox_drop_first(&mb->outbox);
    }
    update_waits(mb);
}

static enum mail_result enqueue(struct mailbox *mb, const struct ipc_mail_record *rec,
                                const void *data, struct mail_receipt *receipt)
{
    if (!outbox_add(&mb->outbox, rec, data, receipt)) {
        ring_count(mb->me, IPC_MAIL_REFUSED, 1);
        return MAIL_AGAIN;
    }
    ring_count(mb->me, IPC_MAIL_QUEUED, 1);
    return MAIL_QUEUED;
}

static enum mail_result send_or_queue(struct mailbox *mb, struct ipc_mail_record *rec,
                                      const void *data, struct mail_receipt *receipt)
{
    flush(mb);
    if (!mailbox_outbox_empty(mb))
        return enqueue(mb, rec, data, receipt);
    switch (attempt(mb, rec, data, receipt)) {
    case RING_OK:
        return MAIL_SENT;
    case RING_NOBODY:
        return MAIL_NOBODY;
    case RING_BROKEN:
        return MAIL_BROKEN;
    case RING_BUSY:
    case RING_FULL:
        break;
    }
    return enqueue(mb, rec, data, receipt);
}

/* Is it a message that may be sent at all? */
static enum mail_result examine(const struct mailbox *mb, unsigned topic, struct mail_target target,
                                size_t len)
{
    const struct ipc_topic *t = topic_get(mb->region, topic);
    if (!t || target.to < MAIL_PRIMARY || target.to >= (int)mb->region->nslots)
        return MAIL_UNKNOWN;
    if (len > atomic_load_explicit(&t->max_len, memory_order_relaxed) ||
        ring_cells(len) > mb->region->mail->cells / 8)
        return MAIL_TOOBIG;
    return mb->hops > MAILBOX_HOPS ? MAIL_LOOP : MAIL_SENT;
}

enum mail_result mailbox_publish(struct mailbox *mb, unsigned topic, struct mail_target target,
                                 const void *data, size_t len, struct mail_receipt *receipt)
{
    check(mb->joined || mb->broken);
    enum mail_result rc = mb->joined ? examine(mb, topic, target, len) : MAIL_BROKEN;
    if (rc != MAIL_SENT) {
        if (rc == MAIL_LOOP)
            ring_count(mb->me, IPC_MAIL_LOOPS, 1);
        return rc;
    }
    struct ipc_mail_record rec = {
        .sent_us = clock_us_now(),
        .len = (uint32_t)len,
        .topic = (uint16_t)topic,
        .to = (int16_t)target.to,
        .from_slot = (uint16_t)mb->slot,
        .from_incarnation = mb->incarnation,
        .to_incarnation = target.incarnation,
        .call = target.call,
        .hops = (uint16_t)mb->hops,
    };
    if (target.to >= 0 && target.incarnation == 0)
        rec.to_incarnation = atomic_load(&mb->region->mailboxes[target.to].incarnation);
    if (receipt)
        receipt->state = MAIL_RECEIPT_QUEUED;
    rc = send_or_queue(mb, &rec, data, receipt);
    if (receipt && (rc == MAIL_SENT || rc == MAIL_QUEUED))
        list_add_tail(&mb->receipts, &receipt->node);
    if (rc == MAIL_QUEUED || receipt)
        update_waits(mb);
    return rc;
}

/* ---- Receipts ---- */

/* From the start each time: a callback may forget any receipt. */
static void settle_receipts(struct mailbox *mb, unsigned most)
{
    struct mail_receipt *r;
    if (list_empty(&mb->receipts))
        return;
    while (most-- > 0 && (r = receipt_find_applied(mb))) {
        list_remove(&r->node);
        r->on_applied(r);
    }
    update_waits(mb);
}

void mailbox_forget(struct mailbox *mb, struct mail_receipt *r)
{
    if (r->node.next)
        list_remove(&r->node);
    outbox_forget(&mb->outbox, r);
    if (mb->joined)
        update_waits(mb);
}

/* ---- Draining ---- */

/* A record that makes no sense: nobody can tell where the next one begins. */
static void give_up_place(struct mailbox *mb)
{
    uint32_t live = IPC_MAIL_LIVE;
    ring_count(mb->me, IPC_MAIL_CORRUPT, 1);
    atomic_compare_exchange_strong(&mb->me->state, &live, IPC_MAIL_LAGGING);
}

/* The next record that is for us, or only watched, copied out. What was copied by somebody who has been evicted meanwhile
 * may be torn. */
static bool take_record(struct mailbox *mb, struct ipc_mail_record *rec, bool *mine)
{
    uint64_t head = ring_head(mb->region);
    while (mb->cursor != head) {
        bool sane = ring_read(mb->region, mb->cursor, rec);
        *mine = sane && is_mine(mb, rec);
        bool wanted = *mine || (sane && is_watched(mb, rec));
        if (wanted)
            ring_read_data(mb->region, rec, mb->buffer);
        atomic_thread_fence(memory_order_acquire);
        if (!is_live(mb))
            return false;
        if (!sane) {
            give_up_place(mb);
            return false;
        }
        advance(mb, rec, *mine);
        if (wanted)
            return true;
    }
    return false;
}

static void add_for_topic(_Atomic uint64_t *n, uint64_t by)
{
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

static uint64_t call(struct mailbox *mb, const struct mail_message *m, uint64_t now)
{
    mb->calling = true;
    mb->hops = m->hops + 1;
    mb->on_message(mb->arg, m);
    mb->hops = 0;
    mb->calling = false;
    uint64_t after = clock_us_now();
    region_count(&mb->me->histograms[IPC_MAIL_CALLBACK], after - now);
    return after;
}

static uint64_t show(struct mailbox *mb, const struct ipc_mail_record *rec)
{
    mb->calling = true;
    mb->on_watched(mb->arg, rec, mb->buffer);
    mb->calling = false;
    return clock_us_now();
}

/* Counted when the callback has returned: what a primary dies of is owed to its successor, as lost. */
static uint64_t deliver_record(struct mailbox *mb, const struct ipc_mail_record *rec, uint64_t now)
{
    struct mail_message m = membership_message(rec);
    m.data = mb->buffer;
    region_count(&mb->me->histograms[IPC_MAIL_LATENCY], now > m.sent_us ? now - m.sent_us : 0);
    uint64_t after = call(mb, &m, now);
    add_for_topic(&mb->me->delivered[rec->topic], 1);
    ring_count(mb->me, IPC_MAIL_DELIVERED, 1);
    set_handled(mb);
    return after;
}

static uint64_t deliver_news(struct mailbox *mb, uint64_t now)
{
    struct mail_news *n = mb->news;
    mb->news = n->next;
    n->message.data = n->data;
    now = call(mb, &n->message, now);
    if (n->owed) {
        uint64_t with_data = n->message.retained;
        add_for_topic(&mb->me->delivered[n->message.topic], with_data);
        add_for_topic(&mb->me->lost[n->message.topic], n->message.lost);
        ring_count(mb->me, IPC_MAIL_DELIVERED, with_data);
        ring_count(mb->me, IPC_MAIL_LOST, n->message.lost);
    } else {
        ring_count(mb->me, IPC_MAIL_RETAINED, 1);
    }
    free(n);
    set_handled(mb);
    return now;
}

/* Those who wait for room are not woken for every message that fits, but when half the ring is free, or a millisecond
 * has passed: who is further behind goes on draining in any case before it sleeps. */
static void wake_waiters(struct mailbox *mb, uint64_t now)
{
    if (!atomic_load_explicit(&mb->region->mail->waiters, memory_order_relaxed))
        return;
    if (ring_head(mb->region) - mb->cursor > mb->region->mail->cells / 2 &&
        now - mb->woken_us < WAKE_US)
        return;
    mb->woken_us = now;
    doorbell_waiters(mb->region, mb->slot);
}

static bool has_work(const struct mailbox *mb)
{
    return mb->news || !is_live(mb) || ring_head(mb->region) != mb->cursor;
}

static unsigned deliver(struct mailbox *mb, unsigned max_messages, unsigned max_us)
{
    struct ipc_mail_record rec;
    uint64_t now = clock_us_now(), until = now + max_us;
    unsigned n = 0;
    bool mine;

    raise_to(&mb->me->lag_max, ring_head(mb->region) - mb->cursor);
    if (!is_live(mb) && !membership_recover(mb))
        return 0;
    for (; mb->news; n++)
        now = deliver_news(mb, now);
    for (; n < max_messages && now < until && take_record(mb, &rec, &mine); n++) {
        if (is_watched(mb, &rec))
            now = show(mb, &rec);
        if (mine)
            now = deliver_record(mb, &rec, now);
        wake_waiters(mb, now);
    }
    return n;
}

unsigned mailbox_drain(struct mailbox *mb, unsigned max_messages, unsigned max_us)
{
    check((mb->joined || mb->broken) && !mb->calling);
    if (!mb->joined)
        return 0;
    bool rung = doorbell_hear(mb->region, mb->slot);
    unsigned n = 0;

    mb->busy = false;
    flush(mb);
    if (rung)
        ring_count(mb->me, IPC_MAIL_BELLS_HEARD, 1);
    if (has_work(mb) && !mb->broken) {
        n = deliver(mb, max_messages, max_us);
        if (ring_head(mb->region) == mb->cursor)
            doorbell_waiters(mb->region, mb->slot);
    } else if (rung) {
        ring_count(mb->me, IPC_MAIL_BELLS_FUTILE, 1);
    }
    settle_receipts(mb, max_messages ? max_messages : 1);
    return n;
}

/* ---- Sleeping ---- */

bool mailbox_has_work(const struct mailbox *mb)
{
    if (!mb->joined)
        return false;
    return atomic_load(&mb->me->note) || has_work(mb) || !mailbox_outbox_empty(mb) ||
           !list_empty(&mb->receipts);
}

int mailbox_wait_ms(struct mailbox *mb)
{
    if (mb->broken)
        return -1;
    if (!is_live(mb))
        return mb->busy ? 1 : 0;
    if (has_work(mb))
        return 0;
    if (!atomic_load_explicit(&mb->me->waits, memory_order_relaxed))
        return -1;
    atomic_store(&mb->region->mail->waiters, 1);
    atomic_thread_fence(memory_order_seq_cst);
    const struct outbox_entry *e = outbox_first(&mb->outbox);
    if (receipt_find_applied(mb) ||
        (e && !mb->busy && ring_has_room(mb->region, ring_cells(e->rec.len))))
        return 0;
    return e && mb->busy ? 1 : -1; /* nobody rings when the lock is free */
}

void mailbox_watch(struct mailbox *mb, unsigned topic, bool on)
{
    check(mb->slot == IPC_SLOT_MASTER && mb->on_watched && topic < IPC_TOPICS);
    _Atomic uint64_t *bits = &mb->region->mail->watched[topic / 64];
    uint64_t bit = (uint64_t)1 << topic % 64;
    if (on)
        atomic_fetch_or(bits, bit);
    else
        atomic_fetch_and(bits, ~bit);
}

void mailbox_park(struct mailbox *mb)
{
    atomic_store(&region_slot(mb->region, mb->slot)->park, IPC_PARK);
    atomic_thread_fence(memory_order_seq_cst);
}

void mailbox_wake(struct mailbox *mb)
{
    atomic_store(&region_slot(mb->region, mb->slot)->park, IPC_RUN);
}

const char *mailbox_result_name(enum mail_result r)
{
    static const char *const names[] = {
        [MAIL_SENT] = "sent",     [MAIL_QUEUED] = "queued", [MAIL_AGAIN] = "again",
        [MAIL_TOOBIG] = "toobig", [MAIL_LOOP] = "loop",     [MAIL_UNKNOWN] = "unknown",
        [MAIL_NOBODY] = "nobody", [MAIL_BROKEN] = "broken",
    };
    return (unsigned)r < ARRAY_LEN(names) ? names[r] : "?";
}
