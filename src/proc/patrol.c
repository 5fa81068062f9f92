/* patrol.c - once a second the master goes round: do connections wait that nobody accepts, and does somebody sleep who
 * was woken? What counts as a stall is stall.h's arithmetic; this file looks, and acts.
 *
 * A queue is what one worker ought to accept from: all sockets of the listeners that take turns together, all that the
 * kernel chooses for (exclusive), and for reuseport those of one position. Looking is poll(2), since TCP_INFO says nothing
 * of a unix socket.
 *
 * Who is killed, after stall_kill:
 *   turn       the holder, whatever it does: no handler ever runs under the turn, so it is never just busy.
 *   reuseport  the queue's worker, if it is held (stopped, traced or frozen), or asleep in its event loop without waking when
 *              it is rung. One that is in a long handler is left alone, disk sleep included: its end would help nobody.
 *   exclusive  nobody: the others are woken, and they watch the socket anew.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/board.h"
#include "ipc/turn.h"
#include "os/procstat.h"
#include "proc/launch.h"
#include "proc/master.h"
#include "proc/stall.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RENEW_LOOKS 5 /* somebody waits at so many looks, while others are accepted: look anew */

enum {
    TURN,
    EXCLUSIVE,
    QUEUES /* the first of reuseport */
};

struct queue {
    struct stall stall;
    pid_t owner; /* of reuseport: at the last look */
    uint64_t accepts, moves;
    const struct serve_listener
        *where; /* the first at which somebody waits now; NULL: nobody does */
    char *text; /* of the one at which the stall began */
};

/* A worker at the last look: whether it slept although it was kicked, and how often it had woken. */
struct sleeper {
    uint32_t incarnation;
    uint64_t wakeups;
    bool kicked, lost;
};

struct patrol {
    struct timer timer;
    struct master *master;
    size_t nqueues;
    struct queue *queues;
    struct sleeper *sleepers; /* by crew.workers */
};

static uint64_t wakeups(const struct region *r, int slot)
{
    uint64_t n = 0;

    for (int c = IPC_WAKEUPS_KICK; c <= IPC_WAKEUPS_NOTHING; c++)
        n += board_get(r, slot, (enum ipc_counter)c);
    return n;
}

/* ---- Who waits ---- */

static size_t queue_of(const struct patrol *p, const struct serve_listener *l, size_t socket)
{
    if (l->policy == CONF_POLICY_REUSEPORT)
        return QUEUES + socket < p->nqueues ? QUEUES + socket : p->nqueues - 1;
    if (l->policy == CONF_POLICY_EXCLUSIVE || atomic_load(&p->master->region.turn->broken))
        return EXCLUSIVE;
    return TURN;
}

static void note_waiting(struct patrol *p, const struct serve_listener *l, size_t socket)
{
    struct queue *q = &p->queues[queue_of(p, l, socket)];

    if (!q->where)
        q->where = l;
}

static size_t count_sockets(const struct serve_plan *plan)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->nlisteners; i++)
        n += plan->listeners[i].nfds;
    return n;
}

/* Sockets that do not listen have no queue, and are never ready. */
static void look_at_sockets(struct patrol *p, const struct serve_plan *plan)
{
    struct pollfd *fds = mem_alloc((count_sockets(plan) + 1) * sizeof *fds);
    nfds_t n = 0, at = 0;

    for (size_t i = 0; i < plan->nlisteners; i++)
        for (size_t k = 0; k < plan->listeners[i].nfds; k++)
            fds[n++] = (struct pollfd){.fd = plan->listeners[i].fds[k], .events = POLLIN};
    poll(fds, n, 0);
    for (size_t i = 0; i < plan->nlisteners; i++)
        for (size_t k = 0; k < plan->listeners[i].nfds; k++)
            if (fds[at++].revents & POLLIN)
                note_waiting(p, &plan->listeners[i], k);
    free(fds);
}

/* ---- Who ought to accept ---- */

static struct worker *worker_at(const struct master *m, int slot)
{
    struct worker *w;

    if (slot < IPC_SLOT_WORKERS || slot >= IPC_SLOT_WORKERS + (int)m->crew.nworkers)
        return NULL;
    w = &m->crew.workers[slot - IPC_SLOT_WORKERS];
    return w->pid > 0 ? w : NULL;
}

/* The name of a dead holder stays until somebody takes the turn: its successor in the slot is not to blame. */
static struct worker *holder(const struct master *m)
{
    struct worker *w = worker_at(m, atomic_load(&m->region.turn->owner));

    return w && w->started_ms <= atomic_load(&m->region.turn->since_us) / 1000 ? w : NULL;
}

static struct worker *culprit_of(const struct master *m, size_t queue)
{
    if (queue == EXCLUSIVE)
        return NULL;
    if (queue == TURN)
        return holder(m);
    return worker_at(
        m, atomic_load(
               &region_slot(&m->region, IPC_SLOT_WORKERS + (int)queue - QUEUES)->socket_owner));
}

/* Another owner is no progress. */
static uint64_t moves_of(struct queue *q, const struct region *r, const struct worker *w)
{
    uint64_t accepts = w ? board_get(r, w->slot, IPC_ACCEPTS) : 0;
    pid_t owner = w ? w->pid : 0;

    if (owner == q->owner && accepts != q->accepts)
        q->moves++;
    q->owner = owner;
    q->accepts = accepts;
    return q->moves;
}

/* What other queues do must not count: who accepts from one that is exclusive does not move the turn. */
static uint64_t progress_of(struct patrol *p, size_t queue, const struct worker *w)
{
    const struct region *r = &p->master->region;

    if (queue == EXCLUSIVE)
        return board_sum(r, IPC_ACCEPTS);
    if (queue == TURN)
        return board_sum(r, IPC_TURN_TAKES);
    return moves_of(&p->queues[queue], r, w);
}

static bool is_parked(const struct master *m, const struct worker *w)
{
    return atomic_load(&region_slot(&m->region, w->slot)->park) == IPC_PARK;
}

static bool is_guilty(const struct patrol *p, size_t queue, const struct worker *w)
{
    const struct master *m = p->master;
    const struct sleeper *s;

    if (queue == TURN || procstat_is_held(procstat_state(w->pid)))
        return true;
    s = &p->sleepers[w - m->crew.workers];
    return is_parked(m, w) && s->wakeups == wakeups(&m->region, w->slot);
}

/* ---- What is said and done ---- */

static void wake_all(struct master *m)
{
    atomic_fetch_add(&m->region.turn->epoch, 1);
    turn_rescue(&m->region);
}

static unsigned kill_after(const struct master *m)
{
    return (unsigned)m->live->settings->conf->accept.stall_kill;
}

static void tell(const struct patrol *p, size_t queue, const struct worker *w, bool guilty)
{
    const struct master *m = p->master;
    const char *where = p->queues[queue].text, *has = "has the accept turn";
    char fate[64] = "it is left alone";

    if (!w) {
        log_warn("stall at %s: connections wait, and no worker takes them (all are busy or held); "
                 "all are woken",
                 where);
        return;
    }
    if (queue >= QUEUES)
        has = "has the socket they are in";
    if (guilty && kill_after(m) > 0)
        snprintf(fate, sizeof fate, "it is killed if that lasts for %u ms", kill_after(m));
    log_warn("stall at %s: connections wait, worker %d (pid %d) %s and does not accept, it is %s; "
             "%s",
             where, worker_number(w), (int)w->pid, has, procstat_words(procstat_state(w->pid)),
             fate);
}

static void end_culprit(const struct patrol *p, size_t queue, const struct worker *w)
{
    const struct master *m = p->master;
    const struct queue *q = &p->queues[queue];

    atomic_fetch_add(&m->region.header->stall_kills, 1);
    log_error("stall at %s: worker %d (pid %d) has not accepted for %u ms, it is %s: killing it "
              "(stall_kill = %u ms)",
              q->text, worker_number(w), (int)w->pid, q->stall.guilty_ms,
              procstat_words(procstat_state(w->pid)), kill_after(m));
    kill(w->pid, SIGKILL);
}

/* In a queue that others accept from, one connection may wait for a worker that never comes. */
static bool wants_renewal(size_t queue, const struct stall *s)
{
    return queue == EXCLUSIVE && s->looks > 0 && s->looks % RENEW_LOOKS == 0;
}

static void judge(struct patrol *p, size_t queue, uint64_t now)
{
    struct master *m = p->master;
    struct queue *q = &p->queues[queue];
    const struct worker *w = culprit_of(m, queue);
    struct stall_look look = {.now_ms = now,
                              .waiting = q->where != NULL,
                              .progress = progress_of(p, queue, w),
                              .culprit = w ? w->pid : 0,
                              .guilty = w && q->where && is_guilty(p, queue, w)};
    bool known = q->stall.told;
    unsigned verdict = stall_judge(&q->stall, &look, kill_after(m));

    if (verdict & STALL_BEGINS) {
        free(q->text);
        q->text = mem_strdup(q->where->text);
        atomic_fetch_add(&m->region.header->stalls, known ? 0 : 1);
        tell(p, queue, w, look.guilty);
    }
    if (verdict & STALL_KILL)
        end_culprit(p, queue, w);
    if (verdict & STALL_OVER)
        log_info("stall at %s: over after %u ms", q->text, q->stall.lasts_ms);
    /* A holder of the turn cannot be helped by the others. */
    if (((verdict & STALL_LASTS) && !(queue == TURN && w)) || wants_renewal(queue, &q->stall))
        wake_all(m);
}

/* ---- Who sleeps though he was woken ---- */

/* A kick that died with such a worker is given to everybody else, and the turn goes round without him. */
static void declare_lost(struct master *m, const struct worker *w, struct ipc_slot *slot)
{
    atomic_store(&slot->lost, 1);
    log_warn("worker %d (pid %d) does not wake up when it is called, it is %s: the others accept "
             "without it",
             worker_number(w), (int)w->pid, procstat_words(procstat_state(w->pid)));
    turn_rescue(&m->region);
}

static void look_at_sleeper(struct patrol *p, const struct worker *w, struct sleeper *s)
{
    struct ipc_slot *slot = region_slot(&p->master->region, w->slot);
    struct sleeper now = {.incarnation = atomic_load(&slot->incarnation),
                          .wakeups = wakeups(&p->master->region, w->slot),
                          .kicked = atomic_load(&slot->kick) && is_parked(p->master, w),
                          .lost = atomic_load(&slot->lost) != 0};
    bool same = now.incarnation == s->incarnation && now.wakeups == s->wakeups;

    if (same && s->kicked && now.kicked && !now.lost) {
        declare_lost(p->master, w, slot);
        now.lost = true;
    } else if (s->lost && !now.lost && now.incarnation == s->incarnation) {
        log_info("worker %d (pid %d) is awake again", worker_number(w), (int)w->pid);
    }
    *s = now;
}

/* ---- The round ---- */

/* Where no worker is to be, or none can be, nobody is to blame. */
static bool is_on_duty(const struct master *m)
{
    return m->stop == STOP_NOT && !m->paused && !m->takeover.pending && !launch_is_opening(m) &&
           generation_ready(m->live) > 0;
}

static void go_round(struct patrol *p)
{
    struct master *m = p->master;
    uint64_t now = clock_ms();

    look_at_sockets(p, m->live->settings->plan);
    for (size_t i = 0; i < p->nqueues; i++) {
        judge(p, i, now);
        p->queues[i].where = NULL;
    }
    for (unsigned i = 0; i < m->crew.nworkers; i++)
        if (m->crew.workers[i].pid > 0)
            look_at_sleeper(p, &m->crew.workers[i], &p->sleepers[i]);
}

static void on_round(struct timer *t)
{
    struct patrol *p = CONTAINER_OF(t, struct patrol, timer);

    timer_set(&p->master->loop.timers, t, STALL_LOOK_MS);
    if (is_on_duty(p->master))
        go_round(p);
    else
        for (size_t i = 0; i < p->nqueues; i++)
            p->queues[i].stall = (struct stall){0};
    recycle_look(p->master);
    mailroom_look(p->master);
    vigil_look(p->master);
}

void patrol_init(struct master *m)
{
    struct patrol *p = mem_alloc(sizeof *p);

    p->master = m;
    p->nqueues = QUEUES + m->region.header->max_workers;
    p->queues = mem_alloc(p->nqueues * sizeof *p->queues);
    p->sleepers = mem_alloc(m->crew.nworkers * sizeof *p->sleepers);
    timer_init(&p->timer, on_round);
    timer_set(&m->loop.timers, &p->timer, STALL_LOOK_MS);
    m->patrol = p;
}

void patrol_free(struct master *m)
{
    struct patrol *p = m->patrol;

    timer_clear(&m->loop.timers, &p->timer);
    for (size_t i = 0; i < p->nqueues; i++)
        free(p->queues[i].text);
    free(p->queues);
    free(p->sleepers);
    free(p);
    m->patrol = NULL;
}
