/* turn.c - who may accept. tests/model/turn.pml is this file for the model checker: a change here is made there first.
 *
 * Three pairs of steps need one total order, so both sides use seq_cst; in each pair at least one side sees what the other did:
 *
 *   parking       store park = PARK, fence, try the lock        (turn_park)
 *   giving        unlock, fence, load park                      (turn_give)
 *
 *   being kicked  store park = RUN, load kick                   (turn_wake)
 *   kicking       exchange kick, load park again                (kick)
 *
 *   parking FULL  store park = PARK, fence, load all fit        (turn_park, turn_may)
 *   not FIT now   store fit, fence, load all fit and park       (turn_fit, turn_give)
 *
 * Generations whose workers take turns and generations whose workers do not (`takes`) are strangers to each other: a
 * kick for the turn would be lost on the latter. */
#include "ipc/turn.h"

#include "base/clock.h"
#include "base/log.h"
#include "os/fd.h"

#define LIGHT_MARGIN 16
#define SHARE_WINDOW 64 /* accepts of each worker, about */
#define SHARE_MARGIN 8
#define ANY_LOAD     INT64_MAX

static bool is_broken(const struct region *r)
{
    return atomic_load_explicit(&r->turn->broken, memory_order_relaxed) != 0;
}

void turn_init(struct turn *t, struct region *r, int slot)
{
    *t = (struct turn){
        .region = r, .me = region_slot(r, slot), .slot = slot, .heir = -1, .takes = true};
    t->shared = is_broken(r);
    /* Who kicked the predecessor may have died before it rang; nobody rings where the flag is set.
     */
    atomic_store(&t->me->kick, 0);
    atomic_store(&t->me->lost, 0);
    atomic_store(&t->me->takes, 1);
    uint32_t used = atomic_load(&r->turn->used);
    while (used <= (uint32_t)slot &&
           !atomic_compare_exchange_weak(&r->turn->used, &used, (uint32_t)slot + 1)) {
    }
}

void turn_abstain(struct turn *t)
{
    t->takes = false;
    atomic_store(&t->me->takes, 0);
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

static void recovered(struct turn *t)
{
    int dead = atomic_load_explicit(&t->region->turn->owner, memory_order_relaxed);
    region_add(t->me, IPC_TURN_RECOVERED, 1);
    if (dead < 0) {
        log_warn("worker %d took over the accept turn: its holder died as it took or gave it",
                 region_worker(t->slot));
    } else {
        log_warn("worker %d took over the accept turn: its holder, worker %d, has died",
                 region_worker(t->slot), region_worker(dead));
    }
}

static enum lock_result try_lock(struct turn *t)
{
    enum lock_result result = lock_try(&t->region->turn->lock);
    switch (result) {
    case LOCK_TAKEN:
        break;
    case LOCK_RECOVERED: /* it guards no data: there is nothing to repair */
        recovered(t);
        break;
    case LOCK_BROKEN:
        fall_back(t);
        break;
    case LOCK_BUSY:
        /* glibc tells only the first who tries a broken lock; the others find it busy for ever. */
        t->shared = is_broken(t->region);
        break;
    }
    return result;
}

static int active(const struct ipc_slot *s)
{
    return atomic_load_explicit(&s->active, memory_order_relaxed);
}

static uint64_t accepts_of(const struct ipc_slot *s)
{
    return atomic_load_explicit(&s->counters[IPC_ACCEPTS], memory_order_relaxed);
}

static uint32_t fit_of(const struct ipc_slot *s)
{
    return atomic_load_explicit(&s->fit, memory_order_relaxed);
}

static bool is_lost(const struct ipc_slot *s)
{
    return atomic_load_explicit(&s->lost, memory_order_relaxed) != 0;
}

static bool is_parked(const struct ipc_slot *s)
{
    return atomic_load(&s->park) == IPC_PARK;
}

static bool is_peer(const struct turn *t, const struct ipc_slot *s)
{
    return atomic_load_explicit(&s->takes, memory_order_relaxed) == t->takes;
}

/* Only slots that ever had a worker are looked at. A newborn that is missed here raised `used`
 * after the lock was free, so it finds the lock free itself when it parks. */
static int used_slots(const struct region *r)
{
    return (int)atomic_load(&r->turn->used);
}

static bool somebody_fit(const struct turn *t)
{
    for (int i = 0, used = used_slots(t->region); i < used; i++) {
        const struct ipc_slot *s = region_slot(t->region, i);
        if (fit_of(s) == IPC_FIT && !is_lost(s) && is_peer(t, s))
            return true;
    }
    return false;
}

bool turn_last(const struct turn *t)
{
    return !somebody_fit(t);
}

bool turn_may(const struct turn *t)
{
    uint32_t fit = fit_of(t->me);
    return fit == IPC_FIT || (fit == IPC_FULL && !somebody_fit(t));
}

static void count_wait(struct turn *t, uint64_t given, uint64_t now)
{
    if (given && now >= given)
        region_time(t->me, IPC_GIVE_TO_TAKE, now - given);
}

/* Have we accepted more than the mean of those like us? Counted in windows, so that an old debt is forgotten; what comes and
 * goes with workers begins another window. */
static bool is_ahead(struct turn *t)
{
    uint64_t n = 0, all = 0, mine = accepts_of(t->me);
    for (int i = 0, used = used_slots(t->region); i < used; i++) {
        const struct ipc_slot *s = region_slot(t->region, i);
        if (fit_of(s) == IPC_FIT && is_peer(t, s)) {
            all += accepts_of(s);
            n++;
        }
    }
    if (all < t->all_before || all - t->all_before > n * SHARE_WINDOW) {
        t->all_before = all;
        t->mine_before = mine;
    }
    return n * (mine - t->mine_before) > all - t->all_before + n * SHARE_MARGIN;
}

/* Somebody sleeps whom we kicked for the turn and who has not woken yet. He will take it or pass it on; if he dies or stands
 * still the master rings. Who gives the turn is back sooner than who was kicked wakes up, and would have it again and
 * again: so it is his, unless we are behind anyway. The kick is read before the sleep: the other way round it could be the
 * kick of a later sleep, of which nobody told us. */
static bool promised(struct turn *t)
{
    if (t->heir < 0)
        return false;
    const struct ipc_slot *s = region_slot(t->region, t->heir);
    return atomic_load(&s->kick) && is_parked(s) && fit_of(s) == IPC_FIT && !is_lost(s) &&
           is_ahead(t);
}

bool turn_take(struct turn *t)
{
    struct ipc_turn *turn = t->region->turn;
    if (t->have)
        return true;
    if (t->shared || !t->takes || !turn_may(t) || promised(t))
        return false;
    t->heir = -1;
    enum lock_result result = try_lock(t);
    if (result != LOCK_TAKEN && result != LOCK_RECOVERED)
        return false;
    uint64_t now = clock_us_now();
    if (result == LOCK_TAKEN)
        count_wait(t, atomic_load_explicit(&turn->given_us, memory_order_relaxed), now);
    atomic_store_explicit(&turn->owner, t->slot, memory_order_relaxed);
    atomic_store_explicit(&turn->since_us, now, memory_order_relaxed);
    atomic_store_explicit(&turn->given_us, 0, memory_order_relaxed);
    region_add(t->me, IPC_TURN_TAKES, 1);
    t->have = true;
    t->event_us = 0;
    return true;
}

/* The most connections with which a worker counts as light. */
static int64_t light_limit(const struct turn *t)
{
    int64_t sum = 0, n = 0;
    for (int i = 0, used = used_slots(t->region); i < used; i++) {
        const struct ipc_slot *s = region_slot(t->region, i);
        if (fit_of(s) == IPC_FIT && !is_lost(s) && is_peer(t, s)) {
            sum += active(s);
            n++;
        }
    }
    int64_t mean = n ? sum / n : 0;
    return mean + (mean / 8 > LIGHT_MARGIN ? mean / 8 : LIGHT_MARGIN);
}

static bool is_light(const struct ipc_slot *s, int64_t limit)
{
    int32_t max = atomic_load_explicit(&s->max, memory_order_relaxed);
    return active(s) <= limit && (max <= 0 || active(s) < max - max / 8);
}

/* ---- Kicks ---- */

/* Whom to kick. */
struct wanted {
    enum ipc_fit fit;
    int64_t limit; /* ANY_LOAD, or what counts as light */
};

static bool suits(const struct turn *t, const struct ipc_slot *s, const struct wanted *w)
{
    return is_parked(s) && fit_of(s) == (uint32_t)w->fit && !is_lost(s) && is_peer(t, s) &&
           (w->limit == ANY_LOAD || is_light(s, w->limit));
}

/* False when the sleeper turns out to be leaving: it may have missed the kick. */
static bool kick(struct turn *t, int at)
{
    struct ipc_slot *s = region_slot(t->region, at);
    if (atomic_exchange(&s->kick, 1) == 0) {
        fd_event_ring(t->region->bells[at]);
        region_add(t->me, IPC_TURN_KICKS_SENT, 1);
    }
    if (!is_parked(s))
        return false;
    t->heir = at;
    return true;
}

static bool kick_next(struct turn *t, const struct wanted *w)
{
    int used = used_slots(t->region);
    for (int i = 1; i < used; i++) {
        int at = (t->slot + i) % used;
        if (suits(t, region_slot(t->region, at), w) && kick(t, at))
            return true;
    }
    return false;
}

/* Of those that have the same number, the next in the ring. */
static int find_least(struct turn *t, const struct wanted *w)
{
    int best = -1, used = used_slots(t->region);
    for (int i = 1; i < used; i++) {
        int at = (t->slot + i) % used;
        const struct ipc_slot *s = region_slot(t->region, at);
        if (suits(t, s, w) && (best < 0 || active(s) < active(region_slot(t->region, best))))
            best = at;
    }
    return best;
}

static bool kick_least(struct turn *t, const struct wanted *w)
{
    for (int tries = used_slots(t->region); tries > 0; tries--) {
        int at = find_least(t, w);
        if (at < 0)
            return false;
        if (kick(t, at))
            return true;
    }
    return false;
}

static bool kick_one(struct turn *t, enum ipc_fit fit, int64_t limit)
{
    struct wanted w = {fit, limit};
    return t->least ? kick_least(t, &w) : kick_next(t, &w);
}

static bool others_sleep(const struct turn *t)
{
    for (int i = 0, used = used_slots(t->region); i < used; i++) {
        const struct ipc_slot *s = region_slot(t->region, i);
        if (i != t->slot && is_parked(s) && fit_of(s) != IPC_UNFIT && is_peer(t, s))
            return true;
    }
    return false;
}

/* Under load nobody sleeps, and one look is all it costs. */
static void kick_someone(struct turn *t)
{
    if (others_sleep(t) && !kick_one(t, IPC_FIT, light_limit(t)) &&
        !kick_one(t, IPC_FIT, ANY_LOAD) && !somebody_fit(t))
        kick_one(t, IPC_FULL, ANY_LOAD);
}

void turn_give(struct turn *t)
{
    struct ipc_turn *turn = t->region->turn;
    if (!t->have)
        return;
    uint64_t now = clock_us_now();
    if (t->event_us)
        region_time(t->me, IPC_HOLD, now > t->event_us ? now - t->event_us : 0);
    t->have = false;
    atomic_store_explicit(&turn->owner, -1, memory_order_relaxed);
    atomic_store_explicit(&turn->given_us, now, memory_order_relaxed);
    region_add(t->me, IPC_TURN_GIVES, 1);
    lock_give(&turn->lock);
    atomic_thread_fence(memory_order_seq_cst);
    kick_someone(t);
}

void turn_event(struct turn *t)
{
    if (t->have && !t->event_us)
        t->event_us = clock_us();
}

void turn_forward(struct turn *t)
{
    /* Who shares a socket and runs just now is not kicked: it looks for itself before it sleeps. */
    atomic_fetch_add(&t->region->turn->epoch, 1);
    atomic_thread_fence(memory_order_seq_cst);
    kick_someone(t);
}

/* Who has the turn kicks when it gives it. */
void turn_fit(struct turn *t, enum ipc_fit fit)
{
    uint32_t before = fit_of(t->me);
    if (before == (uint32_t)fit)
        return;
    atomic_store(&t->me->fit, (uint32_t)fit);
    atomic_thread_fence(memory_order_seq_cst);
    if (before == IPC_FIT && !t->have && !somebody_fit(t))
        kick_someone(t);
}

/* Who is declared lost by mistake is rung right after it. When that bell is heard in the round that it came in, the next
 * sleep must not begin lost. */
static void be_found(struct turn *t)
{
    if (is_lost(t->me))
        atomic_store(&t->me->lost, 0);
}

/* The lock is tried after this, with an order of its own: the fence keeps that try behind the
 * store. */
void turn_park(struct turn *t)
{
    be_found(t);
    atomic_store(&t->me->park, IPC_PARK);
    atomic_thread_fence(memory_order_seq_cst);
}

void turn_wake(struct turn *t)
{
    atomic_store(&t->me->park, IPC_RUN);
    t->heir = -1;
    be_found(t);
}

bool turn_kicked(const struct turn *t)
{
    return atomic_load(&t->me->kick) != 0;
}

void turn_answer(struct turn *t)
{
    bool kicked = atomic_exchange(&t->me->kick, 0) != 0;
    if (kicked)
        region_add(t->me, IPC_TURN_KICKS_RECEIVED, 1);
    if (!turn_may(t))
        turn_forward(t);
    else if (!turn_take(t) && kicked && t->takes && !t->shared)
        region_add(t->me, IPC_TURN_KICKS_FUTILE, 1);
}

bool turn_others_parked(const struct turn *t)
{
    for (int i = 0, used = used_slots(t->region); i < used; i++) {
        const struct ipc_slot *s = region_slot(t->region, i);
        if (i != t->slot && is_parked(s) && fit_of(s) == IPC_FIT && !is_lost(s) && is_peer(t, s))
            return true;
    }
    return false;
}

bool turn_overloaded(const struct turn *t)
{
    return fit_of(t->me) != IPC_FIT || !is_light(t->me, light_limit(t));
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
