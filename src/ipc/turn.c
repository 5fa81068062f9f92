/* turn.c - who may accept. tests/model/turn.pml is this file for the model checker: a change here is made there first.
 *
 * Two pairs of steps need one total order, so both sides use seq_cst; in each pair at least one side sees what the other did:
 *
 *   parking       store park = PARK, fence, try the lock   (turn_park)
 *   giving        unlock, fence, load park                 (turn_give)
 *
 *   being kicked  store park = RUN, load kick              (turn_wake)
 *   kicking       exchange kick, load park again           (kick_next)
 */
#include "ipc/turn.h"

#include "base/clock.h"
#include "base/log.h"
#include "os/fd.h"

#define LIGHT_MARGIN 16

static bool is_broken(const struct region *r)
{
    return atomic_load_explicit(&r->turn->broken, memory_order_relaxed) != 0;
}

void turn_init(struct turn *t, struct region *r, int slot)
{
    *t = (struct turn){.region = r, .me = region_slot(r, slot), .slot = slot};
    t->shared = is_broken(r);
    /* Who kicked the predecessor may have died before it rang; nobody rings where the flag is set.
     */
    atomic_store(&t->me->kick, 0);
    uint32_t used = atomic_load(&r->turn->used);
    while (used <= (uint32_t)slot &&
           !atomic_compare_exchange_weak(&r->turn->used, &used, (uint32_t)slot + 1)) {
    }
}

/* The others sleep until they are kicked, and nobody will have a turn to give: all are woken to see
 * for themselves. */
static void fall_back(struct turn *t)
{
    t->shared = true;
    if (atomic_exchange(&t->region->turn->broken, 1) == 0) {
        log_error("the lock of the accept turn cannot be recovered: all workers accept at once "
                  "until the next restart");
        turn_rescue(t->region);
    }
}

/* As logs and titles count them. */
static int number(int slot)
{
    return slot - IPC_SLOT_WORKERS + 1;
}

static void recovered(struct turn *t)
{
    int dead = atomic_load_explicit(&t->region->turn->owner, memory_order_relaxed);
    region_add(t->me, IPC_TURN_RECOVERED, 1);
    if (dead < 0) {
        log_warn("worker %d took over the accept turn: its holder died as it took or gave it",
                 number(t->slot));
    } else {
        log_warn("worker %d took over the accept turn: its holder, worker %d, has died",
                 number(t->slot), number(dead));
    }
}

static bool lock_is_ours(struct turn *t)
{
    switch (lock_try(&t->region->turn->lock)) {
    case LOCK_TAKEN:
        return true;
    case LOCK_RECOVERED: /* it guards no data: there is nothing to repair */
        recovered(t);
        return true;
    case LOCK_BROKEN:
        fall_back(t);
        return false;
    case LOCK_BUSY:
        /* glibc tells only the first who tries a broken lock; the others find it busy for ever. */
        t->shared = is_broken(t->region);
        return false;
    }
    return false;
}

bool turn_take(struct turn *t)
{
    if (t->have)
        return true;
    if (t->shared || !lock_is_ours(t))
        return false;
    struct ipc_turn *shared = t->region->turn;
    atomic_store_explicit(&shared->owner, t->slot, memory_order_relaxed);
    atomic_store_explicit(&shared->since_us, clock_us(), memory_order_relaxed);
    region_add(t->me, IPC_TURN_TAKES, 1);
    t->have = true;
    return true;
}

static int active(const struct ipc_slot *s)
{
    return atomic_load_explicit(&s->active, memory_order_relaxed);
}

static bool is_fit(const struct ipc_slot *s)
{
    return atomic_load_explicit(&s->fit, memory_order_relaxed) != 0;
}

static bool is_parked(const struct ipc_slot *s)
{
    return atomic_load(&s->park) == IPC_PARK;
}

/* Only slots that ever had a worker are looked at. A newborn that is missed here raised `used`
 * after the lock was free, so it finds the lock free itself when it parks. */
static int used_slots(const struct region *r)
{
    return (int)atomic_load(&r->turn->used);
}

/* The most connections with which a worker counts as light. */
static int64_t light_limit(const struct region *r)
{
    int64_t sum = 0, n = 0;
    for (int i = 0, used = used_slots(r); i < used; i++) {
        if (is_fit(&r->slots[i])) {
            sum += active(&r->slots[i]);
            n++;
        }
    }
    int64_t mean = n ? sum / n : 0;
    return mean + (mean / 4 > LIGHT_MARGIN ? mean / 4 : LIGHT_MARGIN);
}

/* Kicks the first fit sleeper behind us with at most `limit` connections. False if there is none.
 * When the sleeper turns out to be leaving, it may have missed the kick, so the next one is kicked
 * too. */
static bool kick_next(struct turn *t, int64_t limit)
{
    const struct region *r = t->region;
    int used = used_slots(r);
    for (int i = 1; i < used; i++) {
        int at = (t->slot + i) % used;
        struct ipc_slot *s = region_slot(r, at);
        if (!is_parked(s) || !is_fit(s) || active(s) > limit)
            continue;
        if (atomic_exchange(&s->kick, 1) == 0) {
            fd_event_ring(r->bells[at]);
            region_add(t->me, IPC_TURN_KICKS_SENT, 1);
        }
        if (is_parked(s))
            return true;
    }
    return false;
}

/* Under load nobody sleeps, and one look is all it costs. */
static void kick_someone(struct turn *t)
{
    if (turn_others_parked(t) && !kick_next(t, light_limit(t->region)))
        kick_next(t, INT64_MAX);
}

void turn_give(struct turn *t)
{
    if (!t->have)
        return;
    t->have = false;
    atomic_store_explicit(&t->region->turn->owner, -1, memory_order_relaxed);
    region_add(t->me, IPC_TURN_GIVES, 1);
    lock_give(&t->region->turn->lock);
    atomic_thread_fence(memory_order_seq_cst);
    kick_someone(t);
}

void turn_forward(struct turn *t)
{
    atomic_thread_fence(memory_order_seq_cst);
    kick_someone(t);
}

/* The lock is tried after this, with an order of its own: the fence keeps that try behind the
 * store. */
void turn_park(struct turn *t)
{
    atomic_store(&t->me->park, IPC_PARK);
    atomic_thread_fence(memory_order_seq_cst);
}

void turn_wake(struct turn *t)
{
    atomic_store(&t->me->park, IPC_RUN);
}

bool turn_kicked(const struct turn *t)
{
    return atomic_load(&t->me->kick) != 0;
}

void turn_heard(struct turn *t)
{
    if (atomic_exchange(&t->me->kick, 0))
        region_add(t->me, IPC_TURN_KICKS_RECEIVED, 1);
}

bool turn_others_parked(const struct turn *t)
{
    for (int i = 0, used = used_slots(t->region); i < used; i++) {
        const struct ipc_slot *s = region_slot(t->region, i);
        if (i != t->slot && is_parked(s) && is_fit(s))
            return true;
    }
    return false;
}

bool turn_overloaded(const struct turn *t)
{
    return active(t->me) > light_limit(t->region);
}

/* Not only the parked ones: a dead kicker may have set the flag of a worker that was just leaving
 * and now runs. It would park later with a flag that keeps every other bell silent. */
void turn_rescue(struct region *r)
{
    for (int i = 0, used = used_slots(r); i < used; i++) {
        struct ipc_slot *s = region_slot(r, i);
        if (atomic_load_explicit(&s->state, memory_order_relaxed) != IPC_FREE || is_parked(s)) {
            atomic_store(&s->kick, 1);
            fd_event_ring(r->bells[i]);
        }
    }
}
