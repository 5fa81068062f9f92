/* keeper.c - keeps the live generation at its number of workers. How soon a dead one is started
 * again is respawn.h's arithmetic; this file carries it out and says so in the log, without filling
 * it. */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "proc/code.h"
#include "proc/inquest.h"
#include "proc/launch.h"
#include "proc/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define CALM_MS RESPAWN_YOUNG_MS

/* ---- Failures ---- */

static void note_degraded(struct master *m)
{
    if (!respawn_degraded(&m->respawn) || m->workers_fail)
        return;
    m->workers_fail = true;
    master_judge(m);
    log_error("the server is degraded: %u of %u workers are ready, and new ones keep failing; "
              "the lines above say why",
              generation_ready(m->live), m->live->wanted);
    if (!m->serving)
        master_release(m, 1);
}

static void give_up(struct master *m)
{
    int64_t limit = m->live->settings->conf->server.give_up;
    unsigned failed = m->respawn.in_row;

    if (generation_ready(m->live) == 0)
        failed = m->respawn.failures;
    if (limit <= 0 || failed < limit || m->stop == STOP_NOW)
        return;
    log_error("%u worker starts in a row have failed: giving up (give_up = %u)", failed,
              (unsigned)limit);
    m->exit_code = 1;
    master_stop(m, STOP_NOW);
}

/* The worker waits for the server-wide delay. */
static void start_later(struct master *m, struct worker *w, const char *how)
{
    char line[160];
    unsigned skipped = 0;

    w->waiting = true;
    if (!timer_is_set(&m->respawn_timer))
        timer_set(&m->loop.timers, &m->respawn_timer, m->respawn.delay_ms);
    timer_set(&m->loop.timers, &m->calm, CALM_MS);
    snprintf(line, sizeof line, "%s %s", how, w->ready ? "soon after its start" : "at its start");
    if (repeat_say(&m->repeat, line, clock_ms(), &skipped)) {
        if (skipped > 0)
            log_warn("the same happened %u more times", skipped);
        log_error("worker %d %s; the next start is tried in %u.%u s", worker_number(w), line,
                  m->respawn.delay_ms / 1000, m->respawn.delay_ms % 1000 / 100);
    }
    note_degraded(m);
    give_up(m);
}

/* ---- Starting ---- */

/* A running server waits for us, and is better off without such workers. */
static void fail_takeover(struct master *m, const struct worker *w, const char *how)
{
    char why[480];

    snprintf(why, sizeof why, "worker %d %s%s", worker_number(w), how,
             w->ready ? "" : " before it was ready; the error log may say why");
    takeover_fail(m, CODE_ROLLED_BACK, why);
}

int keeper_fork(struct master *m, struct worker *w)
{
    if (!timer_is_set(&m->watch))
        timer_set(&m->loop.timers, &m->watch, GENERATION_START_MS);
    return generation_spawn(w->generation, w);
}

static void spawn(struct master *m, struct worker *w)
{
    struct respawn_death d = {0};
    char how[64];
    int rc = keeper_fork(m, w);

    w->waiting = false;
    if (rc == 0)
        return;
    snprintf(how, sizeof how, "could not be forked (%s)", strerror(-rc));
    if (m->takeover.pending) {
        fail_takeover(m, w, how);
        return;
    }
    respawn_died(&m->respawn, &d);
    start_later(m, w, how);
}

static struct worker *next_waiting(const struct master *m)
{
    for (struct worker *w = generation_next(m->live, NULL); w; w = generation_next(m->live, w))
        if (w->waiting)
            return w;
    return NULL;
}

static void on_respawn(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, respawn_timer);
    struct worker *w = next_waiting(m);

    if (!w || m->stop)
        return;
    respawn_spawned(&m->respawn);
    spawn(m, w);
    if (next_waiting(m) && !timer_is_set(t) && !m->stop)
        timer_set(&m->loop.timers, t, m->respawn.delay_ms);
}

/* A while without a failure: forget the past, if everybody is there. */
static void on_calm(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, calm);
    bool was;

    if (m->stop)
        return;
    if (next_waiting(m) || generation_ready(m->live) < m->live->wanted) {
        timer_set(&m->loop.timers, t, CALM_MS);
        return;
    }
    was = m->workers_fail;
    m->workers_fail = false;
    master_judge(m);
    if (was)
        log_info("all workers are ready again: the server is no longer degraded%s",
                 atomic_load(&m->region.header->degraded) ? " because of them" : "");
    respawn_calm(&m->respawn);
}

/* A worker that hangs in its start is as bad as one that dies there. */
static void on_watch(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, watch);
    bool more = false;

    for (unsigned i = 0; i < m->crew.nworkers; i++) {
        struct worker *w = &m->crew.workers[i];

        if (w->pid <= 0 || w->ready)
            continue;
        if (clock_ms() - w->started_ms < GENERATION_START_MS) {
            more = true;
        } else {
            log_error("worker %d (pid %d) has not become ready within %d s: killing it",
                      worker_number(w), (int)w->pid, GENERATION_START_MS / 1000);
            kill(w->pid, SIGKILL);
        }
    }
    if (more)
        timer_set(&m->loop.timers, t, 1000);
}

void keeper_init(struct master *m)
{
    timer_init(&m->respawn_timer, on_respawn);
    timer_init(&m->calm, on_calm);
    timer_init(&m->watch, on_watch);
    patrol_init(m);
    vigil_init(m);
}

int keeper_start(struct master *m, struct generation *g)
{
    for (struct worker *w = generation_next(g, NULL); w; w = generation_next(g, w)) {
        if (w->pid > 0 || w->waiting)
            continue;
        if (g == m->live) {
            spawn(m, w);
        } else {
            int rc = generation_spawn(g, w);

            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

/* ---- Ends and beginnings ---- */

static void replace(struct master *m, struct worker *w, const struct respawn_death *d,
                    const struct inquest *q)
{
    if (m->stop || w->told || m->paused) {
        generation_drop(m->live, w);
        return;
    }
    if (!respawn_died(&m->respawn, d)) {
        if (whereabouts_in_module(&q->at))
            inquest_log(q, "worker %d %s", worker_number(w), q->how);
        start_later(m, w, q->short_how); /* the pid would make each line another */
        return;
    }
    inquest_log(q, "worker %d %s: starting another", worker_number(w), q->how);
    spawn(m, w);
}

void keeper_hurry(struct master *m)
{
    struct worker *w;

    timer_clear(&m->loop.timers, &m->respawn_timer);
    respawn_calm(&m->respawn);
    m->workers_fail = false;
    master_judge(m);
    for (w = generation_next(m->live, NULL); w; w = generation_next(m->live, w))
        if (w->waiting && !m->stop)
            spawn(m, w);
}

/* Somebody drains who is not live any more. */
static void one_less(struct master *m, struct generation *g, struct worker *w)
{
    uint32_t number = g->number;

    generation_drop(g, w);
    if (generation_count(g) > 0)
        return;
    generation_free(g, &m->live->listens);
    log_info("the last worker of generation %u has ended", (unsigned)number);
}

static void go_on_without(struct master *m, struct generation *g, struct worker *w,
                          const struct respawn_death *d, const struct inquest *q)
{
    if (launch_died(m, w, q->how) || (g == m->live && recycle_ended(m, w, q->how)))
        return;
    if (g == m->live && m->takeover.pending && !m->stop) {
        fail_takeover(m, w, q->how);
        return;
    }
    if (g == m->live)
        replace(m, w, d, q);
    else
        one_less(m, g, w);
}

void keeper_ended(struct master *m, struct worker *w, int status)
{
    struct generation *g = w->generation;
    struct inquest q;
    struct respawn_death d;

    inquest_open(&q, &m->region, w->slot, w->pid, status);
    inquest_place(&q, g->settings ? g->settings->conf : NULL);
    applied_died(m, w->slot, (int)w->pid, &q);
    d = generation_bury(w, status);
    if (d.ready)
        mailroom_left(m, w->slot, !w->ready, d.signal);
    else
        mailroom_failed(m, w->slot, d.signal);
    if (q.wrong && !w->told)
        atomic_fetch_add(&m->region.header->crashes, 1);
    else if (q.wrong)
        inquest_log(&q, "worker %d %s while it was ending", worker_number(w), q.how);
    go_on_without(m, g, w, &d, &q);
    inquest_judge(m, &q);
}

void keeper_ready(void *master, struct worker *w)
{
    struct master *m = master;

    respawn_ready(&m->respawn);
    log_debug("worker %d (pid %d) is ready", worker_number(w), (int)w->pid);
    mailroom_joined(m, w->slot);
    recycle_ready(m, w);
    launch_ready(m, w);
    keeper_look(m);
}

void keeper_look(struct master *m)
{
    unsigned ready = generation_ready(m->live);

    if (launch_is_opening(m) || m->stop || ready == 0)
        return;
    if (m->takeover.pending) {
        if (ready == m->live->wanted)
            takeover_ready(m);
        return;
    }
    if (!m->serving) {
        m->serving = true;
        master_release(m, 0);
    }
    if (!m->announced && ready == m->live->wanted) {
        m->announced = true;
        announce_ready(m);
    }
}

void keeper_stop(struct master *m)
{
    timer_clear(&m->loop.timers, &m->respawn_timer);
    timer_clear(&m->loop.timers, &m->calm);
}

/* ---- By hand ---- */

static struct worker *last_of(const struct generation *g)
{
    struct worker *last = NULL;

    for (struct worker *w = generation_next(g, NULL); w; w = generation_next(g, w))
        if (!w->told)
            last = w;
    return last;
}

static void take_one_away(struct master *m)
{
    struct worker *w;
    int64_t limit = m->live->settings->conf->server.drain_timeout;

    recycle_cancel(m);
    w = last_of(m->live);
    m->live->wanted--;
    if (w->pid > 0)
        generation_drain_one(m->live, w, clock_ms() + (uint64_t)limit);
    else
        generation_drop(m->live, w);
}

void keeper_resize(struct master *m, int by)
{
    struct generation *g = m->live;

    if (m->stop)
        return;
    if (by < 0 && g->wanted <= 1) {
        log_warn("one worker less would be none: nothing changes (WINCH stops all workers)");
    } else if (by > 0 &&
               (g->wanted >= m->region.header->max_workers || !crew_free_slots(&m->crew))) {
        log_warn("there is no room for another worker: max_workers is %u",
                 (unsigned)m->region.header->max_workers);
    } else if (by < 0) {
        take_one_away(m);
        log_info("one worker less: %u", g->wanted);
    } else {
        g->wanted++;
        m->paused = false;
        spawn(m, generation_add(g));
        log_info("one worker more: %u", g->wanted);
    }
}

void keeper_pause(struct master *m)
{
    if (m->stop || m->paused)
        return;
    m->paused = true;
    m->live->wanted = 0;
    keeper_stop(m);
    recycle_cancel(m);
    log_info("all workers end, the master stays: SIGHUP starts new ones");
    for (struct worker *w = generation_next(m->live, NULL); w; w = generation_next(m->live, w)) {
        w->waiting = false;
        if (w->pid > 0)
            generation_drain_one(m->live, w, 0);
        else
            generation_drop(m->live, w);
    }
}
