/* vigil.c - the watch over processes that do not come out of a module's code: what is too long is stay.h's arithmetic; this
 * file looks, says so, and ends who stays for ever.
 *
 * The patrol looks once a second; more often only while somebody has been inside for a while. What was shorter than that the
 * process itself tells (whereabouts.h) and counts, so stalls are counted here only of those that do not come back. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/procstat.h"
#include "proc/master.h"
#include "proc/stay.h"
#include "proc/whereabouts.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOK_MS  100 /* the least between two looks */
#define AGAIN_MS 20  /* where a stay is about to be too long */
#define SLOW_MS  1000

struct vigil {
    struct timer timer;
    struct master *master;
    struct stay *stays; /* by slot */
};

static struct stay_limits limits_of(const struct master *m)
{
    const struct conf_server *conf = &m->live->settings->conf->server;

    return (struct stay_limits){(uint64_t)conf->block_warn, (uint64_t)conf->block_kill};
}

static bool is_wanted(const struct stay_limits *l)
{
    return l->warn_ms > 0 || l->kill_ms > 0;
}

/* How often to look while somebody is inside. */
static uint64_t distance(const struct stay_limits *l)
{
    uint64_t ms = (l->warn_ms ? l->warn_ms : l->kill_ms) / 2;

    return ms < LOOK_MS ? LOOK_MS : ms > SLOW_MS ? SLOW_MS : ms;
}

static pid_t pid_of(const struct master *m, int slot)
{
    if (slot == IPC_SLOT_PRIMARY_A)
        return m->primary.pid;
    return slot < IPC_SLOT_WORKERS ? 0 : m->crew.workers[slot - IPC_SLOT_WORKERS].pid;
}

static bool is_inside(const struct master *m, int slot)
{
    return pid_of(m, slot) > 0 && atomic_load(&region_slot(&m->region, slot)->crumb.where) != 0;
}

/* ---- What is said and done ---- */

static void describe(const struct master *m, int slot, char *out, size_t size)
{
    if (slot == IPC_SLOT_PRIMARY_A)
        snprintf(out, size, "the primary (pid %d)", (int)pid_of(m, slot));
    else
        snprintf(out, size, "worker %d (pid %d)", region_worker(slot), (int)pid_of(m, slot));
}

static void count(struct master *m, const struct whereabouts *w)
{
    if (w->module > 0 && w->module < IPC_MODULES)
        atomic_fetch_add(&m->region.modules[w->module].stalls, 1);
}

static void act(struct master *m, int slot, const struct stay *s, unsigned verdict)
{
    struct whereabouts w;
    char who[64], text[240];
    struct note where = note_on(text, sizeof text);

    whereabouts_read(&w, &m->region, &region_slot(&m->region, slot)->crumb);
    whereabouts_say(&w, &where);
    note_add(&where, ", for ");
    note_add_number(&where, s->counted_ms);
    note_add(&where, " ms");
    whereabouts_say_wait(&w, &where);
    describe(m, slot, who, sizeof who);
    if (verdict & STAY_LONG)
        whereabouts_log(&w, LOG_LEVEL_WARN, "%s has been%s: all else waits", who, text);
    if (verdict & STAY_ABORT) {
        count(m, &w);
        whereabouts_log(&w, LOG_LEVEL_ERROR,
                        "%s has been%s: ending it with SIGABRT, so that it says where "
                        "(block_kill = %llu ms)",
                        who, text, (unsigned long long)limits_of(m).kill_ms);
        kill(pid_of(m, slot), SIGABRT);
    }
    if (verdict & STAY_KILL) {
        log_error("%s did not end of SIGABRT: killing it", who);
        kill(pid_of(m, slot), SIGKILL);
    }
}

/* ---- Looking ---- */

/* /proc is only asked when it matters. */
static bool matters(const struct stay_look *look, const struct stay_limits *l)
{
    return look->inside && look->now_ms >= look->since_ms + (l->warn_ms ? l->warn_ms : l->kill_ms);
}

static bool is_held(pid_t pid)
{
    return procstat_is_held(procstat_state(pid)) || procstat_is_traced(pid);
}

static void look_at(struct vigil *v, int slot, const struct stay_limits *l)
{
    struct master *m = v->master;
    const struct ipc_slot *s = region_slot(&m->region, slot);
    struct stay *stay = &v->stays[slot];
    pid_t pid = pid_of(m, slot);
    struct stay_look look = {.now_ms = clock_ms(),
                             .incarnation = pid > 0 ? atomic_load(&s->incarnation) : 0,
                             .inside = is_inside(m, slot),
                             .since_ms = atomic_load(&s->crumb.since_ms),
                             .waits = atomic_load(&s->crumb.waits_for) != 0};
    unsigned verdict;

    look.held = matters(&look, l) && is_held(pid);
    look.dumping = stay->aborted_ms && procstat_is_dumping(pid);
    verdict = stay_judge(stay, &look, l);
    if (verdict)
        act(m, slot, stay, verdict);
}

static bool is_anybody_inside_long(const struct master *m)
{
    for (int i = IPC_SLOT_PRIMARY_A; i < (int)m->region.nslots; i++)
        if (is_inside(m, i) &&
            clock_ms() >= atomic_load(&region_slot(&m->region, i)->crumb.since_ms) + LOOK_MS)
            return true;
    return false;
}

/* Until the next look: who is about to stay too long is looked at then. */
static uint64_t wait_of(const struct vigil *v, const struct stay_limits *l)
{
    uint64_t wait = distance(l);

    for (int i = IPC_SLOT_PRIMARY_A; l->warn_ms && i < (int)v->master->region.nslots; i++) {
        const struct stay *s = &v->stays[i];

        if (s->looked_ms && !s->told && s->counted_ms < l->warn_ms &&
            l->warn_ms - s->counted_ms < wait)
            wait = l->warn_ms - s->counted_ms;
    }
    return wait < AGAIN_MS ? AGAIN_MS : wait;
}

static void look_round(struct vigil *v)
{
    struct master *m = v->master;
    struct stay_limits limits = limits_of(m);

    timer_clear(&m->loop.timers, &v->timer);
    if (!is_wanted(&limits))
        return;
    for (int i = IPC_SLOT_PRIMARY_A; i < (int)m->region.nslots; i++)
        look_at(v, i, &limits);
    if (is_anybody_inside_long(m))
        timer_set(&m->loop.timers, &v->timer, wait_of(v, &limits));
}

static void on_look(struct timer *t)
{
    look_round(CONTAINER_OF(t, struct vigil, timer));
}

void vigil_look(struct master *m)
{
    if (!timer_is_set(&m->vigil->timer))
        look_round(m->vigil);
}

void vigil_init(struct master *m)
{
    struct vigil *v = mem_alloc(sizeof *v);

    v->master = m;
    v->stays = mem_alloc(m->region.nslots * sizeof *v->stays);
    timer_init(&v->timer, on_look);
    m->vigil = v;
}

void vigil_free(struct master *m)
{
    timer_clear(&m->loop.timers, &m->vigil->timer);
    free(m->vigil->stays);
    free(m->vigil);
    m->vigil = NULL;
}
