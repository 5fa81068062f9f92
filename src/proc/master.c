/* master.c - see master.h: main loop, signals, switching, the end. How it begins is in start.c. */
#include "proc/master.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/board.h"
#include "ipc/turn.h"
#include "os/child.h"
#include "os/fd.h"
#include "os/sig.h"
#include "proc/inquest.h"
#include "proc/leaving.h"
#include "proc/pidfile.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- The end ---- */

static void drain_all(struct master *m, uint64_t until)
{
    generation_drain(m->live, until);
    LIST_EACH(node, &m->draining)
    generation_drain(CONTAINER_OF(node, struct generation, node), until);
}

static void cut_all(struct master *m)
{
    generation_cut(m->live);
    LIST_EACH(node, &m->draining)
    generation_cut(CONTAINER_OF(node, struct generation, node));
}

static void drop_waiting(struct generation *g)
{
    for (struct worker *w = generation_next(g, NULL); w; w = generation_next(g, w))
        if (w->pid == 0)
            generation_drop(g, w);
}

/* From now on nothing is started any more, and nobody can connect once the workers have heard of
 * it. */
static void begin_stop(struct master *m)
{
    keeper_stop(m);
    rollout_cancel(m, "the server is stopping");
    upgrade_cancel(m, "the server is stopping");
    compare_cancel(m, "the server is stopping");
    drop_waiting(m->live);
    listen_close(&m->live->listens, NULL, true);
    listen_close(&m->inherited, NULL, false);
}

void master_stop(struct master *m, enum master_stop how)
{
    bool first = m->stop == STOP_NOT;
    uint64_t limit = (uint64_t)m->live->settings->conf->server.shutdown_timeout;

    if (how <= m->stop)
        return;
    m->stop = how;
    if (first)
        begin_stop(m);
    atomic_store(&m->region.header->leaving, 1);
    takeover_stop(m, (int)how);
    if (how == STOP_NOW) {
        log_info("stopping now");
        cut_all(m);
    } else if (how == STOP_DRAIN) {
        log_info("stopping: open requests have %u s", (unsigned)(limit / 1000));
        drain_all(m, clock_ms() + limit);
    } else {
        log_info("stopping once all connections have ended");
        drain_all(m, 0);
    }
}

void master_leave(struct master *m)
{
    uint64_t limit = (uint64_t)m->live->settings->conf->server.drain_timeout;

    m->stop = STOP_WAIT; /* TERM is more urgent */
    begin_stop(m);
    drain_all(m, clock_ms() + limit);
}

/* ---- Signals ---- */

static void bury(struct master *m, const struct child_end *end)
{
    struct worker *w = crew_find(&m->crew, end->pid);

    if (w) {
        keeper_ended(m, w, end->status);
    } else if (!succession_ended(m, end)) {
        child_reap(end->pid);
        if (!rollout_reaped(m, end->pid, end->status))
            if (!upgrade_reaped(m, end->pid, end->status))
                compare_reaped(m, end->pid, end->status);
    }
}

static void reap(struct master *m)
{
    struct child_end end;

    while (child_peek(&end))
        bury(m, &end);
    rollout_look(m);
    leaving_look(m);
    reopen_look(m);
    drained_look(m);
}

/* The kernel sends WINCH, TTIN and TTOU too, for a terminal's sake: those are not for us. */
static bool is_of_terminal(int pid)
{
    return pid == 0 && (isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO));
}

static void on_window(struct master *m, int sig, int pid)
{
    if (is_of_terminal(pid))
        return;
    log_info("%s from process %d", sig_name(sig), pid);
    if (sig == SIGWINCH)
        keeper_pause(m);
    else
        keeper_resize(m, sig == SIGTTIN ? 1 : -1);
}

static void on_signal(struct master *m, int sig, int pid)
{
    switch (sig) {
    case SIGCHLD:
        reap(m);
        return;
    case SIGWINCH:
    case SIGTTIN:
    case SIGTTOU:
        on_window(m, sig, pid);
        return;
    default:
        log_info("%s from process %d", sig_name(sig), pid);
        break;
    }
    if (sig == SIGHUP)
        rollout_request(m, NULL);
    else if (sig == SIGUSR1)
        reopen_request(m, NULL);
    else if (sig == SIGTERM)
        master_stop(m, m->stop < STOP_DRAIN ? STOP_DRAIN : STOP_NOW);
    else if (sig == SIGINT)
        master_stop(m, STOP_NOW);
    else if (sig == SIGQUIT)
        master_stop(m, STOP_WAIT);
    else
        upgrade_request(m, NULL);
}

static void on_signals(struct loop_io *io, uint32_t events)
{
    struct master *m = CONTAINER_OF(io, struct master, signals);
    int sig, pid;

    (void)events;
    while ((sig = sig_read(io->fd, &pid)))
        on_signal(m, sig, pid);
}

static void on_bell(struct loop_io *io, uint32_t events)
{
    struct master *m = CONTAINER_OF(io, struct master, bell);

    (void)events;
    fd_event_drain(io->fd);
    crew_look(&m->crew, keeper_ready, m);
    succession_bell(m);
    rollout_look(m);
    leaving_look(m);
    recycle_look(m);
    reopen_look(m);
}

/* ---- For children ---- */

static void shed_generation(struct generation *g, const struct generation *of)
{
    if (!g || g == of)
        return;
    listen_shed(&g->listens, &of->listens);
    if (g->settings)
        settings_shed(g->settings);
    logs_shed(&g->logs);
}

/* The probe keeps sockets and logs: it ends soon, and its own lines go to the log in use. */
void master_shed(void *master, const struct generation *of)
{
    struct master *m = master;

    fd_close(&m->loop.epfd);
    fd_close(&m->signals.fd);
    fd_close(&m->release);
    fd_close(&m->rollout.probe.fd);
    compare_shed(m);
    debut_shed(m);
    fd_close(&m->crew.lifeline[1]);
    fd_close(&m->primary.pass);
    control_shed(m->control);
    upgrade_shed(m);
    takeover_shed(m);
    if (!of)
        return;
    if (m->rollout.settings)
        settings_shed(m->rollout.settings);
    listen_shed(&m->inherited, NULL);
    listen_shed(&m->takeover.listens, &of->listens);
    shed_generation(m->live, of);
    shed_generation(m->rollout.next, of);
    LIST_EACH(node, &m->draining)
    shed_generation(CONTAINER_OF(node, struct generation, node), of);
}

/* ---- Switching ---- */

unsigned master_old_accepting(const struct master *m)
{
    unsigned n = 0;

    LIST_EACH(node, &m->draining)
    n += generation_accepting(CONTAINER_OF(node, struct generation, node));
    return n;
}

void master_judge(struct master *m)
{
    bool degraded = m->workers_fail || m->primary_fails;
    const struct ipc_module *module;

    for (unsigned i = 1; (module = board_module(&m->region, i)); i++)
        degraded = degraded || board_is_quarantined(&m->region, module);
    atomic_store(&m->region.header->degraded, degraded);
}

void master_open(struct master *m)
{
    atomic_store(&m->region.header->generation, m->live->number);
    atomic_fetch_add(&m->region.turn->epoch, 1);
    turn_rescue(&m->region);
}

void master_switch(struct master *m, struct generation *next)
{
    struct generation *old = m->live;
    uint64_t until = clock_ms() + (uint64_t)next->settings->conf->server.drain_timeout;

    m->live = next;
    next->state = GENERATION_LIVE;
    atomic_store(&m->region.header->revision, 0);
    master_open(m);
    listen_settle(&next->listens);
    logs_use(&next->logs);
    keeper_stop(m);
    respawn_calm(&m->respawn);
    m->workers_fail = false;
    succession_switch(m);
    inquest_switch(m, old->number);
    m->paused = false;
    m->announced = true;
    if (!m->serving) {
        m->serving = true;
        master_release(m, 0);
    }
    old->state = GENERATION_DRAINING;
    list_add_tail(&m->draining, &old->node);
    generation_drain(old, until);
    drop_waiting(old);
    if (generation_count(old) == 0)
        generation_free(old, &next->listens);
    else
        generation_strip(old, &next->listens);
}

/* ---- The life ---- */

/* Any event may have changed who is ready, or how many workers are wanted: so before each wait. Workers that start with the
 * next settings have been told how many sockets listen, so that does not change meanwhile. */
static void deal(struct master *m)
{
    if (m->stop)
        return;
    if (!m->rollout.next && !m->takeover.pending)
        generation_listen(m->live);
    generation_deal(m->live);
}

void master_init(struct master *m)
{
    m->signals.on_ready = on_signals;
    m->bell.on_ready = on_bell;
    m->crew.in_child = master_shed;
    m->crew.arg = m;
    list_init(&m->draining);
    keeper_init(m);
    succession_init(m);
    rollout_init(m);
    upgrade_init(m);
    compare_init(m);
    takeover_prepare(m);
    reopen_init(m);
    drained_init(m);
    m->started_ms = clock_ms();
}

static void free_all(struct master *m)
{
    struct list *node;

    herald_look(m); /* who stops with nothing left to end has not looked yet */
    pidfile_remove(m->pid_file);
    log_info(upgrade_has_left(m) ? "the old server has ended" : "stopped");
    msg_end(m);
    control_free(m->control);
    upgrade_free(m);
    takeover_free(m);
    patrol_free(m);
    vigil_free(m);
    mailroom_close(m);
    while ((node = list_first(&m->draining)))
        generation_free(CONTAINER_OF(node, struct generation, node), NULL);
    log_open(STDERR_FILENO, false);
    generation_free(m->live, NULL);
    crew_free(&m->crew);
    fd_close(&m->signals.fd);
    loop_free(&m->loop);
    region_free(&m->region);
    free(m->pid_file);
    free(m->path);
}

/* The primary ends after the last worker, whose messages it hears. */
static bool is_over(const struct master *m)
{
    return m->stop && crew_count(&m->crew) == 0 && m->primary.pid == 0 &&
           !upgrade_is_under_way(m) && m->upgrade.state != UPGRADE_LEAVING &&
           (m->takeover.pending || !takeover_drains(m));
}

int master_run(const struct master_opts *opts)
{
    struct master *m = mem_alloc(sizeof *m);
    int code;

    master_start(m, opts);
    while (!is_over(m)) {
        deal(m);
        succession_look(m);
        herald_look(m);
        heir_look(m);
        loop_wait(&m->loop, mailroom_park(m));
        mailroom_wake(m);
        loop_dispatch(&m->loop);
        loop_run_timers(&m->loop);
        loop_reap(&m->loop);
    }
    free_all(m);
    code = m->exit_code;
    free(m);
    return code;
}
