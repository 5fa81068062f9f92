/* succession.c - the master's part of the primary (primary.h is the process itself).
 *
 *     none --wanted--> STARTING --READY--> READY --reload, or no worker left at a stop--> told --ended--> none
 *                          |                 |                                             |
 *                          +------dies-------+--> at once, or after respawn.h's delay      +--PRIMARY_KILL_MS--> killed
 *
 * Its place in the mail outlives it: what is sent to it waits for the next one. */
#include "proc/primary.h"

#include "base/clock.h"
#include "base/log.h"
#include "ipc/board.h"
#include "os/fd.h"
#include "proc/inquest.h"
#include "proc/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define SLOT     IPC_SLOT_PRIMARY_A
#define CALM_MS  RESPAWN_YOUNG_MS
#define RETRY_MS 10
#define CLOSE_MS 1000

/* ---- What is wanted ---- */

/* At a stop it stays for what the last workers may still say. */
static bool is_wanted(const struct master *m)
{
    if (upgrade_has_left(m))
        return false;
    return m->live->wants_primary && (m->stop == STOP_NOT || crew_count(&m->crew) > 0);
}

/* Who drains may write to the primary that its settings wanted; as long as it lives, since there are no settings left to
 * start another one with. */
static bool is_kept(const struct master *m)
{
    if (is_wanted(m))
        return true;
    if (upgrade_has_left(m)) /* the new server's primary waits for its end */
        return false;
    LIST_EACH(node, &m->draining)
    {
        const struct generation *g = CONTAINER_OF(node, struct generation, node);

        if (g->wants_primary && generation_count(g) > 0)
            return true;
    }
    return false;
}

/* Workers that are being started may write to it before their settings are live. */
static bool is_place_wanted(const struct master *m)
{
    return is_wanted(m) || (m->rollout.next && m->rollout.next->wants_primary);
}

/* False: somebody has the lock, the loop comes back. Whoever has it may be standing still. */
static bool set_closed(struct master *m, bool closed)
{
    struct primary *p = &m->primary;

    if (p->closed == closed || atomic_load(&m->region.mail->broken) ||
        postmaster_close(&m->region, closed) == 0) {
        p->closed = closed;
        p->close_until = 0;
        return true;
    }
    if (p->close_until == 0)
        p->close_until = clock_ms() + CLOSE_MS;
    if (clock_ms() >= p->close_until)
        return true;
    timer_set(&m->loop.timers, &p->retry, RETRY_MS);
    return false;
}

void succession_hold(struct master *m)
{
    struct primary *p = &m->primary;

    if (is_place_wanted(m))
        set_closed(m, false);
    if (p->place || p->pid > 0 || !is_place_wanted(m) || atomic_load(&m->region.mail->broken))
        return;
    p->place = postmaster_hold(&m->region) != -EAGAIN;
    if (!p->place)
        timer_set(&m->loop.timers, &p->retry, RETRY_MS);
}

static void give_up_place(struct master *m)
{
    struct primary *p = &m->primary;

    if (p->place)
        postmaster_bury(&m->region, SLOT, false);
    p->place = false;
}

/* The loop looks at everything after each timer. */
static void on_retry(struct timer *t)
{
    (void)t;
}

/* ---- Failures ---- */

static void note_failing(struct master *m)
{
    if (!respawn_degraded(&m->primary.respawn) || m->primary_fails)
        return;
    m->primary_fails = true;
    master_judge(m);
    log_error("the server is degraded: its primary keeps failing (the lines above say why); the "
              "workers go on without it");
}

static void start_later(struct master *m, const char *how)
{
    struct primary *p = &m->primary;
    char line[160];
    unsigned skipped = 0;

    timer_set(&m->loop.timers, &p->again, p->respawn.delay_ms);
    timer_set(&m->loop.timers, &p->calm, CALM_MS);
    snprintf(line, sizeof line, "%s %s", how, p->ready ? "soon after its start" : "at its start");
    if (repeat_say(&p->repeat, line, clock_ms(), &skipped)) {
        if (skipped > 0)
            log_warn("the same happened %u more times", skipped);
        log_error("the primary %s; the next start is tried in %u.%u s", line,
                  p->respawn.delay_ms / 1000, p->respawn.delay_ms % 1000 / 100);
    }
    note_failing(m);
}

static void on_calm(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, primary.calm);
    bool was;

    if (!m->primary.ready || m->primary.pid == 0) {
        timer_set(&m->loop.timers, t, CALM_MS);
        return;
    }
    was = m->primary_fails;
    m->primary_fails = false;
    master_judge(m);
    if (was)
        log_info("the primary is ready again: the server is no longer degraded%s",
                 atomic_load(&m->region.header->degraded) ? " because of it" : "");
    respawn_calm(&m->primary.respawn);
}

void succession_switch(struct master *m)
{
    struct primary *p = &m->primary;

    timer_clear(&m->loop.timers, &p->again);
    timer_clear(&m->loop.timers, &p->calm);
    respawn_calm(&p->respawn);
    m->primary_fails = false;
    master_judge(m);
}

/* ---- Starting and ending ---- */

static uint64_t cursor_of(const struct master *m)
{
    return atomic_load(&m->region.mailboxes[SLOT].cursor);
}

static void start(struct master *m)
{
    struct generation_child child = {.slot = SLOT, .run = primary_run};
    struct primary *p = &m->primary;
    struct respawn_death d = {0};
    char how[64];
    uint64_t cursor = cursor_of(m);
    pid_t pid = generation_fork(m->live, &child, &p->pass);

    p->ready = p->killed = false;
    p->told = 0;
    p->reopen = 0;
    if (pid < 0) {
        snprintf(how, sizeof how, "could not be forked (%s)", strerror(-pid));
        respawn_died(&p->respawn, &d);
        start_later(m, how);
        return;
    }
    p->pid = pid;
    p->generation = m->live->number;
    p->started_ms = clock_ms();
    p->cursor = cursor;
    timer_set(&m->loop.timers, &p->limit, GENERATION_START_MS);
}

/* A more urgent signal may follow the first, but gives no more time. */
static void tell(struct master *m)
{
    struct primary *p = &m->primary;
    int sig = m->stop == STOP_NOW ? SIGINT : SIGQUIT;

    if (p->told == sig || p->told == SIGINT)
        return;
    if (!p->told)
        timer_set(&m->loop.timers, &p->limit, PRIMARY_KILL_MS);
    p->told = sig;
    kill(p->pid, sig);
}

static void on_limit(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, primary.limit);
    struct primary *p = &m->primary;

    if (p->told)
        log_warn("the primary (pid %d) did not end in time: killing it", (int)p->pid);
    else
        log_error("the primary (pid %d) has not become ready within %d s: killing it", (int)p->pid,
                  GENERATION_START_MS / 1000);
    p->killed = true;
    kill(p->pid, SIGKILL);
}

static void on_again(struct timer *t)
{
    respawn_spawned(&CONTAINER_OF(t, struct primary, again)->respawn);
}

static bool must_go(struct master *m)
{
    if (!is_kept(m))
        return is_place_wanted(m) || set_closed(m, true);
    return m->live->wants_primary && m->primary.generation != m->live->number;
}

void succession_look(struct master *m)
{
    struct primary *p = &m->primary;

    if (is_place_wanted(m))
        set_closed(m, false);
    if (p->pid > 0) {
        if (must_go(m))
            tell(m);
        return;
    }
    if (!is_place_wanted(m))
        give_up_place(m);
    else
        succession_hold(m);
    if (!is_wanted(m) || m->stop == STOP_NOW)
        timer_clear(&m->loop.timers, &p->again);
    else if (p->place && !timer_is_set(&p->again) && !takeover_shares(m))
        start(m);
}

/* ---- What it does ---- */

static bool is_ready(const struct master *m)
{
    return atomic_load(&region_slot(&m->region, SLOT)->state) >= IPC_READY;
}

void succession_bell(struct master *m)
{
    struct primary *p = &m->primary;

    if (p->pid <= 0 || p->ready || !is_ready(m))
        return;
    p->ready = true;
    p->ready_ms = clock_ms();
    if (!p->told)
        timer_clear(&m->loop.timers, &p->limit);
    respawn_ready(&p->respawn);
    log_debug("the primary (pid %d) is ready", (int)p->pid);
    mailroom_joined(m, SLOT);
}

static struct respawn_death death_of(const struct master *m, int status)
{
    const struct primary *p = &m->primary;
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

    return (struct respawn_death){.ready = p->ready || is_ready(m),
                                  .draining = is_ready(m) && clean,
                                  .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                                  .ready_ms = p->ready ? clock_ms() - p->ready_ms : 0};
}

/* Whoever asks for the slot's process from here on finds nobody; only then its pid may become somebody else's. */
static void bury(struct master *m)
{
    struct primary *p = &m->primary;

    timer_clear(&m->loop.timers, &p->limit);
    fd_close(&p->pass);
    board_bury(&m->region, SLOT);
    p->place = is_place_wanted(m);
    postmaster_bury(&m->region, SLOT, p->place);
    child_reap(p->pid);
    p->pid = 0;
    p->reopen = 0;
}

static void judge(struct master *m, const struct respawn_death *d, const struct inquest *q, int pid)
{
    struct primary *p = &m->primary;

    if (p->told && (!q->wrong || p->killed)) {
        log_debug("the primary (pid %d) has ended", pid);
    } else if (p->told) {
        inquest_log(q, "the primary %s while it was ending", q->how);
    } else if (!is_wanted(m) || m->stop == STOP_NOW) {
        inquest_log(q, "the primary %s", q->how);
    } else if (respawn_died(&p->respawn, d)) {
        inquest_log(q, "the primary %s: starting another", q->how);
    } else {
        if (whereabouts_in_module(&q->at))
            inquest_log(q, "the primary %s", q->how);
        start_later(m, q->short_how);
    }
}

bool succession_ended(struct master *m, const struct child_end *end)
{
    struct primary *p = &m->primary;
    struct respawn_death d;
    struct inquest q;

    if (end->pid != p->pid)
        return false;
    d = death_of(m, end->status);
    inquest_open(&q, &m->region, SLOT, end->pid, end->status);
    applied_died(m, SLOT, (int)end->pid, &q);
    p->crashes += q.wrong && !p->told;
    bury(m);
    if (d.ready)
        mailroom_left(m, SLOT, !p->ready, d.signal);
    else if (cursor_of(m) != p->cursor) /* else all that was sent to it waits for the next one */
        mailroom_failed(m, SLOT, d.signal);
    judge(m, &d, &q, (int)end->pid);
    inquest_judge(m, &q);
    return true;
}

bool succession_info(const struct master *m, struct primary_info *info)
{
    const struct primary *p = &m->primary;
    const struct ipc_slot *slot = region_slot(&m->region, SLOT);

    if (p->pid == 0 && !is_wanted(m))
        return false;
    *info = (struct primary_info){
        .pid = p->pid,
        .state =
            p->pid > 0 ? board_state_name((enum ipc_state)atomic_load(&slot->state)) : "waiting",
        .generation = p->generation,
        .starts = atomic_load(&slot->incarnation),
        .uptime_ms = p->pid > 0 ? clock_ms() - p->started_ms : 0};
    return true;
}

void succession_init(struct master *m)
{
    struct primary *p = &m->primary;

    p->pass = -1;
    timer_init(&p->again, on_again);
    timer_init(&p->limit, on_limit);
    timer_init(&p->calm, on_calm);
    timer_init(&p->retry, on_retry);
}
