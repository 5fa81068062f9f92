/* membership.c - places are taken and moved under the lock, so that counts, cursor and latest values fit together: what a
 * process is owed at any time is a difference of counts (topic_owed), and what of it can still be read lies in
 * [cursor, head). The rest is lost, and is reported. */
#include "ipc/membership.h"

#include "base/mem.h"
#include "ipc/doorbell.h"
#include "ipc/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t get(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static uint32_t state_of(const struct mailbox *mb, int slot)
{
    return atomic_load(&mb->region->mailboxes[slot].state);
}

static bool takes(const uint64_t topics[], unsigned topic)
{
    return topics[topic / 64] >> topic % 64 & 1;
}

static bool keeps_latest(const struct mailbox *mb, unsigned topic)
{
    return atomic_load_explicit(&mb->region->topics[topic].latest, memory_order_relaxed) >= 0;
}

struct mail_message membership_message(const struct ipc_mail_record *rec)
{
    return (struct mail_message){
        .topic = rec->topic,
        .len = rec->len,
        .from_slot = rec->from_slot,
        .from_incarnation = rec->from_incarnation,
        .seq = rec->seq,
        .number = rec->number,
        .sent_us = rec->sent_us,
        .hops = rec->hops,
        .call = rec->call,
    };
}

static struct mail_news *add_news(struct mailbox *mb, const struct mail_message *m,
                                  const void *data)
{
    struct mail_news *n = mem_alloc(sizeof(*n) + m->len);
    n->message = *m;
    if (m->len)
        memcpy(n->data, data, m->len);
    if (!mb->news)
        mb->last_news = &mb->news;
    *mb->last_news = n;
    mb->last_news = &n->next;
    return n;
}

/* From here on the process owes the topic `owed` messages. */
static void set_base(struct mailbox *mb, unsigned topic, uint64_t owed)
{
    struct ipc_mail_slot *s = mb->me;
    uint64_t done = get(&s->delivered[topic]) + get(&s->lost[topic]);
    atomic_store_explicit(&s->base[topic],
                          topic_expected(mb->region, mb->slot, topic) - done - owed,
                          memory_order_relaxed);
}

static void set_cursor(struct mailbox *mb, uint64_t cursor)
{
    mb->cursor = cursor;
    atomic_store_explicit(&mb->me->cursor, cursor, memory_order_release);
}

static void show_topics(struct mailbox *mb)
{
    for (unsigned i = 0; i < IPC_TOPICS / 64; i++)
        atomic_store_explicit(&mb->me->topics[i], mb->topics[i], memory_order_relaxed);
}

/* What a predecessor has told the others is news to its successor. */
static bool is_news_for(const struct mailbox *mb, const struct ipc_mail_record *rec)
{
    return ring_is_for(rec, mb->slot) || (rec->to == MAIL_OTHERS && rec->from_slot == mb->slot &&
                                          rec->from_incarnation != mb->incarnation);
}

/* The latest value of a topic, where it is for us and not older than `from`. */
static bool find_latest(struct mailbox *mb, unsigned topic, uint64_t from,
                        struct ipc_mail_record *rec)
{
    return keeps_latest(mb, topic) && topic_latest(mb->region, topic, rec, mb->buffer) &&
           rec->pos >= from && is_news_for(mb, rec);
}

/* ---- Being evicted ---- */

static void report(struct mailbox *mb, unsigned topic, uint64_t owed, uint64_t from)
{
    struct ipc_mail_record rec;
    struct mail_message m = {.topic = topic, .from_slot = -1, .lost = owed};
    if (find_latest(mb, topic, from, &rec)) {
        m = membership_message(&rec);
        m.lost = owed - 1;
        m.retained = true;
    }
    add_news(mb, &m, mb->buffer)->owed = true;
}

/* Reports that were not yet delivered are still owed: they are made anew. */
static void drop_news(struct mailbox *mb, bool owed_only)
{
    struct mail_news *all = mb->news;
    mb->news = NULL;
    while (all) {
        struct mail_news *n = all;
        all = n->next;
        n->next = NULL;
        if (n->owed || !owed_only) {
            free(n);
            continue;
        }
        if (!mb->news)
            mb->last_news = &mb->news;
        *mb->last_news = n;
        mb->last_news = &n->next;
    }
}

bool membership_recover(struct mailbox *mb)
{
    enum ring_result rc = ring_enter(mb->region, mb->me);
    if (rc != RING_OK) {
        mb->busy = rc == RING_BUSY;
        mb->broken = rc == RING_BROKEN;
        return false;
    }
    uint64_t from = mb->cursor;
    drop_news(mb, true);
    for (unsigned t = 0; t < IPC_TOPICS; t++) {
        uint64_t owed = takes(mb->topics, t) ? topic_owed(mb->region, mb->slot, t) : 0;
        if (owed)
            report(mb, t, owed, from > mb->since[t] ? from : mb->since[t]);
    }
    set_cursor(mb, ring_head(mb->region));
    if (!mb->news)
        atomic_store_explicit(&mb->me->handled, mb->cursor, memory_order_release);
    atomic_store(&mb->me->state, IPC_MAIL_LIVE);
    ring_leave(mb->region);
    return true;
}

/* ---- Joining ---- */

/* A primary's place that can be taken over, -1 when there is none. When two are there, its last taker died as it took
 * it: the further one counts. */
static int find_place(const struct mailbox *mb)
{
    int best = -1;
    uint64_t cursor = 0;
    for (int i = IPC_SLOT_PRIMARY_A; ring_is_primary(mb->slot) && i <= IPC_SLOT_PRIMARY_B; i++) {
        uint64_t at = get(&mb->region->mailboxes[i].cursor);
        uint32_t state = state_of(mb, i);
        if ((state == IPC_MAIL_HELD || state == IPC_MAIL_FORFEIT) && (best < 0 || at >= cursor)) {
            best = i;
            cursor = at;
        }
    }
    return best;
}

static bool is_there(const struct mailbox *mb, int slot)
{
    uint32_t state = state_of(mb, slot);
    return state == IPC_MAIL_LIVE || state == IPC_MAIL_LAGGING;
}

static bool is_taken(const struct mailbox *mb)
{
    if (ring_is_primary(mb->slot))
        return is_there(mb, IPC_SLOT_PRIMARY_A) || is_there(mb, IPC_SLOT_PRIMARY_B);
    return is_there(mb, mb->slot);
}

/* Counts in `in_ring` what of [from, head) can still be delivered; false when it cannot be read. */
static bool scan(struct mailbox *mb, uint64_t from, uint64_t in_ring[IPC_TOPICS])
{
    struct ipc_mail_record rec;
    uint64_t head = ring_head(mb->region);
    if (head - from > mb->region->mail->cells)
        return false;
    for (; from != head; from += rec.cells) {
        if (!ring_read(mb->region, from, &rec))
            return false;
        if (rec.topic != IPC_MAIL_PAD && rec.to < 0 && ring_is_for(&rec, mb->slot))
            in_ring[rec.topic]++;
    }
    return true;
}

/* What the predecessor was owed is owed to us; what of it cannot be read any more is reported. Topics that keep their
 * latest value, and those that only we take, begin now. */
static uint64_t inherit(struct mailbox *mb, int place)
{
    uint64_t in_ring[IPC_TOPICS] = {0};
    const struct ipc_mail_slot *old = &mb->region->mailboxes[place];
    uint64_t head = ring_head(mb->region), from = get(&old->cursor);

    if (state_of(mb, place) != IPC_MAIL_HELD || !scan(mb, from, in_ring)) {
        memset(in_ring, 0, sizeof(in_ring));
        from = head;
    }
    for (unsigned t = 0; t < IPC_TOPICS; t++) {
        if (!takes(mb->topics, t))
            continue;
        bool ours = ring_takes(old, t) && !keeps_latest(mb, t);
        uint64_t owed = ours ? topic_owed(mb->region, place, t) : 0;
        mb->since[t] = ours ? from : head;
        set_base(mb, t, owed);
        if (owed > in_ring[t])
            report(mb, t, owed - in_ring[t], head);
    }
    return from;
}

static void begin_at_head(struct mailbox *mb)
{
    for (unsigned t = 0; t < IPC_TOPICS; t++)
        if (takes(mb->topics, t))
            set_base(mb, t, 0);
}

static void retain(struct mailbox *mb)
{
    struct ipc_mail_record rec;
    for (unsigned t = 0; t < IPC_TOPICS; t++) {
        if (takes(mb->topics, t) && find_latest(mb, t, 0, &rec)) {
            struct mail_message m = membership_message(&rec);
            m.retained = true;
            add_news(mb, &m, mb->buffer);
        }
    }
}

/* The state is stored last: who dies before that has not joined. Places that were taken over end after it. */
static void take_place(struct mailbox *mb)
{
    int place = find_place(mb);
    uint64_t cursor = ring_head(mb->region);

    if (place >= 0)
        cursor = inherit(mb, place);
    else
        begin_at_head(mb);
    retain(mb);
    show_topics(mb);
    set_cursor(mb, cursor);
    atomic_store_explicit(&mb->me->handled, cursor, memory_order_relaxed);
    atomic_store(&mb->me->incarnation, mb->incarnation);
    atomic_store(&mb->me->waits, 0);
    atomic_store(&mb->me->note, 0);
    if (atomic_load(&mb->region->mail->used) <= (uint32_t)mb->slot)
        atomic_store(&mb->region->mail->used, (uint32_t)mb->slot + 1);
    atomic_store(&mb->me->state, IPC_MAIL_LIVE);
    for (int i = IPC_SLOT_PRIMARY_A; place >= 0 && i <= IPC_SLOT_PRIMARY_B; i++)
        if (i != mb->slot)
            atomic_store(&mb->region->mailboxes[i].state, IPC_MAIL_OUT);
}

int mailbox_join(struct mailbox *mb)
{
    check(!mb->joined);
    enum ring_result rc = ring_enter_patiently(mb->region, mb->me);
    if (rc == RING_BUSY)
        return -ETIMEDOUT;
    mb->broken = rc == RING_BROKEN;
    if (mb->broken)
        return -ENOTRECOVERABLE;
    bool taken = is_taken(mb);
    if (!taken) {
        mb->incarnation = atomic_load(&region_slot(mb->region, mb->slot)->incarnation);
        take_place(mb);
        mb->joined = true;
    }
    ring_leave(mb->region);
    return taken ? -EBUSY : 0;
}

void mailbox_init(struct mailbox *mb, struct region *r, int slot,
                  void (*on_message)(void *arg, const struct mail_message *m), void *arg)
{
    *mb = (struct mailbox){
        .region = r,
        .me = &r->mailboxes[slot],
        .slot = slot,
        .on_message = on_message,
        .arg = arg,
        .buffer = mem_alloc(IPC_MAIL_MAX),
    };
    list_init(&mb->receipts);
}

int mailbox_subscribe(struct mailbox *mb, unsigned topic, bool on)
{
    check(topic < IPC_TOPICS);
    uint64_t bit = (uint64_t)1 << topic % 64;
    if (mb->joined) {
        enum ring_result rc = ring_enter(mb->region, mb->me);
        if (rc != RING_OK)
            return -EAGAIN;
        if (on && !takes(mb->topics, topic)) {
            mb->since[topic] = ring_head(mb->region);
            set_base(mb, topic, 0);
        }
    }
    mb->topics[topic / 64] = on ? mb->topics[topic / 64] | bit : mb->topics[topic / 64] & ~bit;
    if (mb->joined) {
        show_topics(mb);
        ring_leave(mb->region);
    }
    return 0;
}

/* ---- Leaving ---- */

/* The master may evict us at the same moment. */
static void give_place(struct mailbox *mb)
{
    bool primary = ring_is_primary(mb->slot);
    uint32_t state = atomic_load(&mb->me->state), to;
    do {
        to = !primary ? IPC_MAIL_OUT : state == IPC_MAIL_LIVE ? IPC_MAIL_HELD : IPC_MAIL_FORFEIT;
    } while (!atomic_compare_exchange_weak(&mb->me->state, &state, to));
}

unsigned mailbox_leave(struct mailbox *mb)
{
    check(!mb->calling);
    unsigned unsent = outbox_clear(&mb->outbox);
    LIST_EACH(it, &mb->receipts)
    list_remove(it);
    if (mb->joined) {
        atomic_store(&mb->me->waits, 0);
        atomic_store_explicit(&mb->me->outbox, 0, memory_order_relaxed);
        give_place(mb);
        doorbell_waiters(mb->region, mb->slot);
    }
    if (unsent)
        ring_count(mb->me, IPC_MAIL_UNSENT, unsent);
    drop_news(mb, false);
    free(mb->buffer);
    *mb = (struct mailbox){.region = mb->region, .me = mb->me, .slot = mb->slot};
    return unsent;
}
