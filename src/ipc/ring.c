/* ring.c - how a message gets into the ring, and what the next holder of the lock does when a process has died with it.
 * tests/model/mailbox.pml is this protocol for the model checker: a change is made there first. (Reading again, replay.c, is
 * not in it.)
 *
 * The order of a commit:    payload, head of the record, the latest value    not seen by anybody yet
 *                           journal                                          what else will change
 *                           head                                             the commit
 *                           counts                                           as the journal says
 *
 * A holder that dies before the head has moved has done nothing: the next one writes over it, and drops a latest value
 * that lies behind the head. One that dies after it has left a journal that ends at the head: its counts are stored
 * again, the same values. So the counts fit the head whenever the lock is free, and what a receiver has missed is a
 * difference of counts. A killed process has done a prefix of its stores; the barriers below keep the compiler's (and the
 * processor's) hands off their order. */
#include "ipc/ring.h"

#include "base/clock.h"
#include "ipc/topic.h"
#include "ipc/words.h"

#include <time.h>

#define PATIENCE_US 10000000
#define PART        (IPC_MAIL_CELLS / IPC_MAIL_STARTS)

static uint64_t get(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void set(_Atomic uint64_t *n, uint64_t value)
{
    atomic_store_explicit(n, value, memory_order_relaxed);
}

unsigned ring_cells(size_t len)
{
    return (unsigned)((sizeof(struct ipc_mail_record) + len + IPC_MAIL_CELL - 1) / IPC_MAIL_CELL);
}

bool ring_is_for(const struct ipc_mail_record *rec, int slot)
{
    bool worker = slot >= IPC_SLOT_WORKERS;
    switch (rec->to) {
    case MAIL_ALL:
        return worker || ring_is_primary(slot);
    case MAIL_WORKERS:
        return worker;
    case MAIL_OTHERS:
        return worker && slot != rec->from_slot;
    case MAIL_PRIMARY:
        return ring_is_primary(slot);
    default:
        return rec->to == slot;
    }
}

bool ring_takes(const struct ipc_mail_slot *s, unsigned topic)
{
    return get(&s->topics[topic / 64]) >> topic % 64 & 1;
}

bool ring_gates(const struct ipc_mail_slot *s)
{
    uint32_t state = atomic_load_explicit(&s->state, memory_order_acquire);
    return state == IPC_MAIL_LIVE || state == IPC_MAIL_HELD;
}

/* ---- The lock ---- */

static void apply_journal(struct region *r)
{
    struct ipc_mail_journal *j = &r->mail->journal;
    unsigned topic = atomic_load_explicit(&j->topic, memory_order_relaxed);
    int class = atomic_load_explicit(&j->class, memory_order_relaxed);
    int slot = atomic_load_explicit(&j->slot, memory_order_relaxed);
    struct ipc_topic *t = &r->topics[topic];

    set(&r->mail->seq, get(&j->seq));
    set(&t->published, get(&j->published));
    set(&t->bytes, get(&j->bytes));
    if (class >= 0)
        set(&t->sent[class], get(&j->sent));
    if (slot >= 0)
        set(&r->mailboxes[slot].extra[topic], get(&j->extra));
}

static void repair(struct region *r)
{
    uint64_t end = get(&r->mail->journal.end);
    if (end != 0 && end == ring_head(r))
        apply_journal(r);
    topic_repair(r);
}

static bool is_broken(const struct region *r)
{
    return atomic_load_explicit(&r->mail->broken, memory_order_relaxed) != 0;
}

static enum ring_result try_lock(struct region *r, struct ipc_mail_slot *me)
{
    switch (lock_try(&r->mail->lock)) {
    case LOCK_TAKEN:
        return RING_OK;
    case LOCK_RECOVERED:
        repair(r);
        ring_count(me, IPC_MAIL_RECOVERED, 1);
        return RING_OK;
    case LOCK_BROKEN:
        atomic_store_explicit(&r->mail->broken, 1, memory_order_relaxed);
        return RING_BROKEN;
    case LOCK_BUSY:
        break;
    }
    return is_broken(r) ? RING_BROKEN : RING_BUSY;
}

static void pause_a_little(void)
{
    for (int i = 0; i < 8; i++) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#else
        atomic_signal_fence(memory_order_seq_cst);
#endif
    }
}

enum ring_result ring_enter(struct region *r, struct ipc_mail_slot *me)
{
    uint64_t until = 0;
    for (;;) {
        enum ring_result rc = try_lock(r, me);
        if (rc != RING_BUSY)
            return rc;
        uint64_t now = clock_us_now();
        if (until == 0)
            until = now + RING_SPIN_US;
        else if (now >= until)
            return RING_BUSY;
        pause_a_little();
    }
}

/* A holder that has been stopped holds up births, as it holds up mail; who stops for long is the master's business. */
enum ring_result ring_enter_patiently(struct region *r, struct ipc_mail_slot *me)
{
    static const struct timespec nap = {0, 200000};
    uint64_t until = clock_us_now() + PATIENCE_US;
    enum ring_result rc;
    while ((rc = ring_enter(r, me)) == RING_BUSY && clock_us_now() < until)
        nanosleep(&nap, NULL);
    return rc;
}

void ring_leave(struct region *r)
{
    lock_give(&r->mail->lock);
}

/* ---- Room ---- */

/* The slowest cursor that counts; the head when there is none. One that cannot be true belongs to a process that has
 * damaged its slot: it is not waited for. */
static uint64_t find_gate(const struct region *r, uint64_t head)
{
    uint64_t gate = head;
    unsigned used = atomic_load(&r->mail->used);
    for (unsigned i = 0; i < used; i++) {
        struct ipc_mail_slot *s = &r->mailboxes[i];
        if (!ring_gates(s))
            continue;
        uint64_t cursor = atomic_load_explicit(&s->cursor, memory_order_acquire);
        uint32_t live = IPC_MAIL_LIVE;
        if (head - cursor <= r->mail->cells)
            gate = cursor < gate ? cursor : gate;
        else if (cursor < head)
            atomic_compare_exchange_strong(&s->state, &live, IPC_MAIL_LAGGING);
    }
    return gate;
}

bool ring_has_room(const struct region *r, unsigned cells)
{
    uint64_t head = ring_head(r);
    unsigned to_end = r->mail->cells - (unsigned)(head % r->mail->cells);
    unsigned need = cells > to_end ? to_end + cells : cells;
    return head + need - find_gate(r, head) <= r->mail->cells;
}

/* Under the lock: the cached gate first, which only ever lies too low. */
static bool has_room(struct region *r, uint64_t head, unsigned need)
{
    if (head + need - get(&r->mail->gate) <= r->mail->cells)
        return true;
    set(&r->mail->gate, find_gate(r, head));
    return head + need - get(&r->mail->gate) <= r->mail->cells;
}

/* ---- Writing ---- */

static _Atomic uint64_t *cell_at(const struct region *r, uint64_t pos)
{
    return r->ring + pos % r->mail->cells * (IPC_MAIL_CELL / sizeof(uint64_t));
}

static uint32_t checksum(const struct ipc_mail_record *rec)
{
    uint64_t x = rec->pos * 0x9e3779b97f4a7c15u;
    x ^= (uint64_t)rec->len << 32 | (uint64_t)rec->topic << 16 | rec->cells;
    x ^= rec->seq * 0xc2b2ae3d27d4eb4fu;
    x ^= (uint64_t)(uint16_t)rec->to << 48 | (uint64_t)rec->from_slot << 32 | rec->to_incarnation;
    x ^= rec->from_incarnation;
    return (uint32_t)(x ^ x >> 32);
}

static void write_pad(const struct region *r, uint64_t pos, unsigned cells)
{
    struct ipc_mail_record pad = {.pos = pos, .cells = (uint16_t)cells, .topic = IPC_MAIL_PAD};
    pad.check = checksum(&pad);
    words_store(cell_at(r, pos), &pad, sizeof(pad));
}

static bool is_primary_for(const struct region *r, int slot, unsigned topic)
{
    const struct ipc_mail_slot *s = &r->mailboxes[slot];
    return atomic_load(&s->state) != IPC_MAIL_OUT && ring_takes(s, topic);
}

static bool has_reader(const struct region *r, const struct ipc_mail_record *rec)
{
    if (rec->to == MAIL_PRIMARY)
        return !atomic_load(&r->mail->closed) &&
               (is_primary_for(r, IPC_SLOT_PRIMARY_A, rec->topic) ||
                is_primary_for(r, IPC_SLOT_PRIMARY_B, rec->topic));
    if (rec->to < 0)
        return true;
    const struct ipc_mail_slot *s = &r->mailboxes[rec->to];
    uint32_t state = atomic_load(&s->state);
    return (state == IPC_MAIL_LIVE || state == IPC_MAIL_LAGGING) && ring_takes(s, rec->topic) &&
           atomic_load(&s->incarnation) == rec->to_incarnation;
}

static int class_of(const struct ipc_mail_record *rec)
{
    switch (rec->to) {
    case MAIL_ALL:
        return IPC_MAIL_TO_ALL;
    case MAIL_WORKERS:
    case MAIL_OTHERS:
        return IPC_MAIL_TO_WORKERS;
    case MAIL_PRIMARY:
        return IPC_MAIL_TO_PRIMARY;
    default:
        return -1;
    }
}

/* The journal is void (end 0) while it is written. */
static void write_journal(struct region *r, const struct ipc_mail_record *rec)
{
    struct ipc_mail_journal *j = &r->mail->journal;
    const struct ipc_topic *t = &r->topics[rec->topic];
    int class = class_of(rec), slot = -1;
    uint64_t by = 1;

    if (rec->to >= 0) {
        slot = rec->to;
    } else if (rec->to == MAIL_OTHERS && rec->from_slot >= IPC_SLOT_WORKERS) {
        slot = rec->from_slot;
        by = UINT64_MAX; /* one less: it is counted among the workers, and does not get it */
    }
    set(&j->end, 0);
    atomic_thread_fence(memory_order_release);
    set(&j->seq, rec->seq);
    set(&j->published, rec->number);
    set(&j->bytes, get(&t->bytes) + rec->len);
    set(&j->sent, class >= 0 ? get(&t->sent[class]) + 1 : 0);
    set(&j->extra, slot >= 0 ? get(&r->mailboxes[slot].extra[rec->topic]) + by : 0);
    atomic_store_explicit(&j->topic, rec->topic, memory_order_relaxed);
    atomic_store_explicit(&j->class, class, memory_order_relaxed);
    atomic_store_explicit(&j->slot, slot, memory_order_relaxed);
    atomic_store_explicit(&j->end, rec->pos + rec->cells, memory_order_release);
}

static _Atomic uint64_t *start_near(const struct region *r, uint64_t pos)
{
    return &r->mail->starts[pos / PART % IPC_MAIL_STARTS];
}

/* Before the commit: a dead writer's place is the next one's too. */
static void note_start(struct region *r, uint64_t pos)
{
    _Atomic uint64_t *start = start_near(r, pos);
    if (get(start) / PART != pos / PART)
        set(start, pos);
}

/* Never back: a dead writer may have come further than the next one does. */
static void reserve(struct region *r, uint64_t end)
{
    if (get(&r->mail->reserved) < end)
        set(&r->mail->reserved, end);
}

static void commit(struct region *r, struct ipc_mail_record *rec, const void *data)
{
    rec->seq = get(&r->mail->seq) + 1;
    rec->number = get(&r->topics[rec->topic].published) + 1;
    rec->check = checksum(rec);
    note_start(r, rec->pos);
    words_store(cell_at(r, rec->pos), rec, sizeof(*rec));
    words_store(cell_at(r, rec->pos) + IPC_MAIL_HEAD, data, rec->len);
    topic_keep(r, rec, data);
    write_journal(r, rec);
    atomic_store_explicit(&r->mail->head, rec->pos + rec->cells, memory_order_release);
    atomic_thread_fence(memory_order_release);
    apply_journal(r);
}

static enum ring_result place(struct region *r, struct ipc_mail_record *rec, const void *data)
{
    uint64_t head = ring_head(r);
    unsigned to_end = r->mail->cells - (unsigned)(head % r->mail->cells);
    unsigned pad = rec->cells > to_end ? to_end : 0;

    if (!has_reader(r, rec))
        return RING_NOBODY;
    if (!has_room(r, head, pad + rec->cells))
        return RING_FULL;
    reserve(r, head + pad + rec->cells);
    /* A reader that has just been evicted and finds new words in its copy finds its new state too; one that replays finds
     * what has been reserved. */
    atomic_thread_fence(memory_order_release);
    if (pad)
        write_pad(r, head, pad);
    rec->pos = head + pad;
    commit(r, rec, data);
    return RING_OK;
}

enum ring_result ring_append(struct region *r, int slot, struct ipc_mail_record *rec,
                             const void *data)
{
    rec->cells = (uint16_t)ring_cells(rec->len);
    enum ring_result rc = ring_enter(r, &r->mailboxes[slot]);
    if (rc != RING_OK)
        return rc;
    rc = place(r, rec, data);
    ring_leave(r);
    return rc;
}

/* ---- Reading ---- */

uint64_t ring_start(const struct region *r, uint64_t from, uint64_t end)
{
    uint64_t first = end;
    for (unsigned i = 0; i < IPC_MAIL_STARTS; i++) {
        uint64_t start = get(&r->mail->starts[i]);
        if (start >= from && start < first)
            first = start;
    }
    return first;
}

bool ring_read(const struct region *r, uint64_t pos, struct ipc_mail_record *rec)
{
    words_load(cell_at(r, pos), rec, sizeof(*rec));
    if (rec->pos != pos || rec->check != checksum(rec) || rec->cells == 0 ||
        rec->cells > r->mail->cells - pos % r->mail->cells)
        return false;
    return rec->topic == IPC_MAIL_PAD || (rec->topic < IPC_TOPICS && rec->len <= IPC_MAIL_MAX &&
                                          rec->cells >= ring_cells(rec->len));
}

void ring_read_data(const struct region *r, const struct ipc_mail_record *rec, void *to)
{
    words_load(cell_at(r, rec->pos) + IPC_MAIL_HEAD, to, rec->len);
}
