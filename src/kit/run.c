/* run.c - turns of the loop, as proc/worker.c makes them, until nothing moves; and time, which only moves here. */
#include "kit/kit.h"

#include "base/clock.h"

#define MOST_TURNS 1000000 /* in one run: who needs more never comes to rest */
#define JOB_MS     10
#define JOBS_MS    60000

static bool is_timer_due(const struct cst *t)
{
    return timer_next(&t->loop.timers, clock_ms()) == 0;
}

/* Jobs run on threads, in real time. */
static bool has_jobs(const struct cst *t)
{
    return pool_oldest(&t->host.pool) != UINT64_MAX || pool_oldest(&t->host.disk) != UINT64_MAX;
}

static int wait(struct cst *t, int ms)
{
    if (t->serve)
        serve_before_wait(t->serve);
    int n = loop_wait(&t->loop, ms);
    if (t->serve)
        serve_after_wait(t->serve);
    return n;
}

/* False: nothing happened. */
static bool turn(struct cst *t, int ms)
{
    bool moved = wait(t, ms) > 0;
    loop_dispatch(&t->loop);
    if (host_wait_ms(&t->host) == 0) {
        host_drain(&t->host);
        moved = true;
    }
    moved |= is_timer_due(t);
    loop_run_timers(&t->loop);
    moved |= !list_empty(&t->loop.tasks);
    loop_reap(&t->loop);
    moved |= others_drain(&t->others);
    moved |= kit_clients_move(t);
    moved |= origins_move(&t->origins);
    kit_log_read(t);
    return moved;
}

static void check_open(const struct cst *t)
{
    if (t->failed)
        kit_die("the start hook has failed: there is no process that could do anything");
}

void kit_run(struct cst *t)
{
    int waited = 0;
    check_open(t);
    for (int n = 0; turn(t, 0) || has_jobs(t); n++) {
        if (n == MOST_TURNS)
            kit_die("the module never comes to rest: a watch whose callback reads nothing, "
                    "messages that answer each other ...?");
        while (has_jobs(t) && !turn(t, JOB_MS))
            if ((waited += JOB_MS) > JOBS_MS)
                kit_die("a job has been at work for %d s", JOBS_MS / 1000);
    }
}

int64_t kit_skip(struct cst *t, int64_t most)
{
    int64_t next = timer_next(&t->loop.timers, clock_ms());
    if (next < 0 || next > most)
        return 0;
    next = next ? next : 1;
    clock_advance((uint64_t)next);
    return next;
}

void cst_run(struct cst *t)
{
    kit_run(t);
}

void cst_advance(struct cst *t, int64_t ms)
{
    int64_t step;
    kit_run(t);
    for (; ms > 0; ms -= step) {
        step = kit_skip(t, ms);
        if (!step)
            clock_advance((uint64_t)(step = ms));
        kit_run(t);
    }
}

int64_t cst_elapsed(const struct cst *t)
{
    return (int64_t)(clock_ms() - t->opened_ms);
}
