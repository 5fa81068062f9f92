/* respawn.c - see respawn.h. */
#include "proc/respawn.h"

#include <signal.h>

static bool is_fault(int signal)
{
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
           signal == SIGABRT || signal == SIGSYS || signal == SIGTRAP;
}

/* By SIGKILL and the like, from outside. */
static bool is_killed(const struct respawn_death *d)
{
    return d->signal != 0 && !is_fault(d->signal);
}

/* Will the next one probably die too? */
static bool is_failure(const struct respawn *r, const struct respawn_death *d)
{
    if (d->draining)
        return false;
    if (is_killed(d)) /* a kernel short of memory kills newborns for ever */
        return !d->ready && r->in_row > 0;
    return !d->ready || d->ready_ms < RESPAWN_YOUNG_MS;
}

/* Workers that die together are one failure: only a new attempt that fails makes the delay longer. */
static void grow(struct respawn *r, unsigned most)
{
    if (r->delay_ms == 0)
        r->delay_ms = RESPAWN_FIRST_MS;
    else if (r->tried && r->delay_ms < most)
        r->delay_ms = r->delay_ms * 2 < most ? r->delay_ms * 2 : most;
    r->tried = false;
}

bool respawn_died(struct respawn *r, const struct respawn_death *d)
{
    bool failure = is_failure(r, d);

    if (!d->ready)
        r->in_row++;
    if (!failure)
        return true;
    r->failures++;
    grow(r, is_killed(d) ? RESPAWN_KILLED_MS : RESPAWN_MOST_MS);
    return false;
}

void respawn_ready(struct respawn *r)
{
    r->in_row = 0;
}

void respawn_spawned(struct respawn *r)
{
    r->tried = true;
}

void respawn_calm(struct respawn *r)
{
    *r = (struct respawn){0};
}

bool respawn_degraded(const struct respawn *r)
{
    return r->failures >= RESPAWN_DEGRADED_AT;
}
