/* recycle.c - fresh workers for used ones: see [server] recycle_after.
 *
 *   a worker has set slot->recycle -> its successor is forked, at the same position in another slot
 *   the successor is READY         -> the old one drains within drain_timeout
 *   the old one has ended          -> the next may come
 *
 * While both are there the generation has one worker more than `wanted`. Who interferes (a stop, a reload, TTOU, a death)
 * wins: what is left over is an ordinary worker, or one that has been told to end. */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "proc/master.h"

#include <stdio.h>
#include <string.h>

#define REST_MS 10000

/* What an older generation had under way ends with it. */
static struct recycling *current(struct master *m)
{
    if (m->recycling.generation != m->live->number)
        m->recycling = (struct recycling){.generation = m->live->number};
    return &m->recycling;
}

static bool has_had_its_share(const struct master *m, const struct worker *w)
{
    return w->pid > 0 && w->ready && !w->told &&
           atomic_load(&region_slot(&m->region, w->slot)->recycle);
}

static struct worker *candidate(const struct master *m)
{
    for (struct worker *w = generation_next(m->live, NULL); w; w = generation_next(m->live, w))
        if (has_had_its_share(m, w))
            return w;
    return NULL;
}

/* Anything else that starts or ends workers comes first. */
static bool is_quiet(const struct master *m)
{
    return m->stop == STOP_NOT && !m->paused && m->rollout.state == ROLLOUT_IDLE &&
           generation_ready(m->live) >= m->live->wanted && crew_free_slots(&m->crew) > 0 &&
           clock_ms() >= m->recycling.rest_until;
}

static void rest(struct master *m, const char *how)
{
    const struct worker *w = m->recycling.going;

    check(w);
    log_warn("the successor of worker %d %s: worker %d (pid %d) goes on, and the next one is tried "
             "in %d s",
             worker_number(w), how, worker_number(w), (int)w->pid, REST_MS / 1000);
    m->recycling.going = m->recycling.coming = NULL;
    m->recycling.rest_until = clock_ms() + REST_MS;
}

static void begin(struct master *m, struct worker *old)
{
    struct worker *fresh = generation_add(m->live);
    char how[96];
    int rc;

    fresh->position = old->position;
    m->recycling.going = old;
    rc = keeper_fork(m, fresh);
    if (rc < 0) {
        generation_drop(m->live, fresh);
        snprintf(how, sizeof how, "could not be forked (%s)", strerror(-rc));
        rest(m, how);
        return;
    }
    m->recycling.coming = fresh;
    log_debug("worker %d (pid %d) has had its share of requests: worker %d (pid %d) starts",
              worker_number(old), (int)old->pid, worker_number(fresh), (int)fresh->pid);
}

void recycle_look(struct master *m)
{
    struct worker *w;

    if (current(m)->going || !is_quiet(m))
        return;
    w = candidate(m);
    if (w)
        begin(m, w);
}

void recycle_ready(struct master *m, const struct worker *w)
{
    struct recycling *r = current(m);
    struct worker *old = r->going;
    int64_t limit = m->live->settings->conf->server.drain_timeout;

    if (m->stop || w != r->coming)
        return;
    check(old);
    r->coming = NULL;
    atomic_fetch_add(&m->region.header->recycled, 1);
    log_info("worker %d (pid %d) has had its share of requests: worker %d (pid %d) takes its place",
             worker_number(old), (int)old->pid, worker_number(w), (int)w->pid);
    generation_drain_one(m->live, old, clock_ms() + (uint64_t)limit);
}

bool recycle_ended(struct master *m, struct worker *w, const char *how)
{
    struct recycling *r = current(m);

    if (m->stop)
        return false;
    if (w == r->coming) {
        generation_drop(m->live, w);
        rest(m, how);
        return true;
    }
    if (w != r->going)
        return false;
    if (r->coming)
        log_warn("worker %d %s while its successor was starting", worker_number(w), how);
    generation_drop(m->live, w);
    /* The successor, if it is not ready yet, is a worker like any other now. */
    r->going = r->coming = NULL;
    recycle_look(m);
    return true;
}

/* Where the old one drains already there is nothing to take back. */
void recycle_cancel(struct master *m)
{
    struct recycling *r = current(m);

    if (!r->coming)
        return;
    generation_drain_one(m->live, r->coming, clock_ms());
    r->going = r->coming = NULL;
}
