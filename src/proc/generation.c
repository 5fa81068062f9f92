/* generation.c - see generation.h. */
#include "proc/generation.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/board.h"
#include "ipc/postmaster.h"
#include "ipc/turn.h"
#include "module/host.h"
#include "os/child.h"
#include "os/fd.h"
#include "proc/deal.h"
#include "proc/process.h"
#include "proc/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker *generation_next(const struct generation *g, const struct worker *w)
{
    struct crew *c = g->crew;

    for (unsigned i = w ? (unsigned)(w - c->workers) + 1 : 0; i < c->nworkers; i++)
        if (c->workers[i].generation == g)
            return &c->workers[i];
    return NULL;
}

#define EACH_WORKER(w, g)                                                                          \
    struct worker *w = generation_next(g, NULL);                                                   \
    w;                                                                                             \
    w = generation_next(g, w)

unsigned generation_count(const struct generation *g)
{
    unsigned n = 0;

    for (EACH_WORKER(w, g))
        n += w->pid > 0;
    return n;
}

unsigned generation_ready(const struct generation *g)
{
    unsigned n = 0;

    for (EACH_WORKER(w, g))
        n += w->pid > 0 && crew_state(g->crew, w) == IPC_READY;
    return n;
}

unsigned generation_accepting(const struct generation *g)
{
    unsigned n = 0;

    if (g->undone)
        return 0;

    for (EACH_WORKER(w, g))
        n += w->pid > 0 && crew_state(g->crew, w) != IPC_DRAINING;
    return n;
}

unsigned generation_connections(const struct generation *g)
{
    unsigned n = 0;

    for (EACH_WORKER(w, g)) {
        int active = atomic_load(&region_slot(g->crew->region, w->slot)->active);

        n += w->pid > 0 && active > 0 ? (unsigned)active : 0;
    }
    return n;
}

static bool has_position(const struct generation *g, unsigned position)
{
    for (EACH_WORKER(w, g))
        if (w->position == position && !w->told)
            return true;
    return false;
}

struct worker *generation_add(struct generation *g)
{
    unsigned position = 0;

    struct crew *c = g->crew;

    while (has_position(g, position))
        position++;
    for (unsigned i = 0; i < c->nworkers; i++) {
        struct worker *w = &c->workers[i];

        if (w->generation)
            continue;
        *w = (struct worker){.generation = g, .slot = w->slot, .position = position, .pass = -1};
        return w;
    }
    return NULL;
}

void generation_drop(struct generation *g, struct worker *w)
{
    check(w->generation == g && w->pid == 0);
    fd_close(&w->pass);
    *w = (struct worker){.slot = w->slot, .pass = -1};
}

/* ---- Life and death of a generation ---- */

/* When it has to be killed, if it is still there; 0: never. */
static uint64_t kill_time(const struct worker *w)
{
    return w->pid > 0 && w->told && w->until > 0 ? w->until + GENERATION_KILL_MS : 0;
}

/* The timer is for whoever is next. */
static void expect_end(struct generation *g)
{
    uint64_t first = 0, now = clock_ms();

    for (EACH_WORKER(w, g)) {
        uint64_t at = kill_time(w);

        if (at > 0 && (first == 0 || at < first))
            first = at;
    }
    if (first == 0)
        timer_clear(&g->crew->loop->timers, &g->kill);
    else
        timer_set(&g->crew->loop->timers, &g->kill, first > now ? first - now : 0);
}

static void on_kill(struct timer *t)
{
    struct generation *g = CONTAINER_OF(t, struct generation, kill);

    for (EACH_WORKER(w, g)) {
        uint64_t until = kill_time(w);

        if (until == 0 || until > clock_ms())
            continue;
        log_warn("worker %d (pid %d) did not end in time: killing it", worker_number(w),
                 (int)w->pid);
        kill(w->pid, SIGKILL);
        w->until = 0;
    }
    expect_end(g);
}

struct generation *generation_new(struct crew *c, uint32_t number, struct settings *s,
                                  struct listen_set *listens, struct logs *logs)
{
    struct generation *g;

    if (crew_free_slots(c) < s->workers)
        return NULL;
    g = mem_alloc(sizeof *g);
    g->crew = c;
    g->number = number;
    g->settings = s;
    g->listens = *listens;
    g->logs = *logs;
    g->wanted = s->workers;
    g->wants_primary = host_wants_primary(s->conf);
    list_init(&g->node);
    timer_init(&g->kill, on_kill);
    s->plan->generation = number;
    s->plan->workers = s->workers;
    logs_fill(&g->logs, s->plan);
    listen_fill(&g->listens, s->plan);
    for (unsigned i = 0; i < g->wanted; i++)
        check(generation_add(g));
    return g;
}

void generation_strip(struct generation *g, const struct listen_set *keep)
{
    listen_close(&g->listens, keep, true);
    settings_free(g->settings, NULL);
    g->settings = NULL;
}

void generation_free(struct generation *g, const struct listen_set *keep)
{
    struct worker *w;

    check(generation_count(g) == 0);
    generation_strip(g, keep);
    while ((w = generation_next(g, NULL)))
        generation_drop(g, w);
    timer_clear(&g->crew->loop->timers, &g->kill);
    list_remove(&g->node);
    logs_close(&g->logs);
    free(g);
}

/* ---- Forking ---- */

static struct heritage heritage_of(const struct generation *g, int slot, int pass)
{
    return (struct heritage){.region = g->crew->region,
                             .slot = slot,
                             .generation = g->number,
                             .plan = g->settings->plan,
                             .conf = g->settings->conf,
                             .revision = g->revision,
                             .user = g->settings->user,
                             .lifeline = g->crew->lifeline[0],
                             .pass = pass,
                             .json = g->logs.json};
}

static _Noreturn void child_main(const struct generation *g, const struct generation_child *child,
                                 int pass)
{
    struct crew *c = g->crew;
    struct heritage h = heritage_of(g, child->slot, pass);

    fd_close(&c->lifeline[1]);
    for (unsigned i = 0; i < c->nworkers; i++)
        fd_close(&c->workers[i].pass);
    logs_use(&g->logs);
    c->in_child(c->arg, g);
    exit(child->run(&h));
}

static void announce(const struct generation *g, const struct generation_child *child)
{
    struct ipc_slot *slot = region_slot(g->crew->region, child->slot);

    atomic_store(&slot->generation, g->number);
    atomic_store(&slot->position, child->position);
    atomic_store(&slot->started_ms, clock_ms());
    atomic_store(&slot->drain_until, 0);
    atomic_store(&slot->drain_since, 0);
    atomic_store(&slot->reopened, g->crew->serial);
    atomic_fetch_add(&slot->incarnation, 1);
    atomic_store(&slot->state, IPC_STARTING);
}

pid_t generation_fork(struct generation *g, const struct generation_child *child, int *pass)
{
    int ends[2], rc = fd_pair(SOCK_SEQPACKET, ends);
    pid_t pid;

    if (rc < 0)
        return rc;
    announce(g, child);
    fflush(NULL);
    pid = child_fork(PROCESS_ORPHAN_SIGNAL);
    if (pid == 0) {
        close(ends[0]);
        child_main(g, child, ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        board_bury(g->crew->region, child->slot);
        return pid;
    }
    *pass = ends[0];
    atomic_store(&region_slot(g->crew->region, child->slot)->pid, pid);
    return pid;
}

int generation_spawn(struct generation *g, struct worker *w)
{
    struct generation_child child = {.slot = w->slot, .position = w->position, .run = worker_run};
    int pass = -1;
    pid_t pid;

    check(w->pid == 0 && w->generation == g);
    pid = generation_fork(g, &child, &pass);
    if (pid < 0)
        return pid;
    atomic_fetch_add(&g->crew->region->header->spawns, 1);
    fd_close(&w->pass);
    *w = (struct worker){.generation = g,
                         .slot = w->slot,
                         .position = w->position,
                         .pid = pid,
                         .pass = pass,
                         .started_ms = clock_ms()};
    return 0;
}

/* ---- Sockets for each worker ---- */

void generation_listen(struct generation *g)
{
    int rc = listen_grow(&g->listens, g->wanted);

    if (rc < 0)
        log_error("cannot listen on a socket for each worker: %s", strerror(-rc));
}

static size_t find_ready(const struct generation *g, struct deal_worker *out)
{
    size_t n = 0;

    for (EACH_WORKER(w, g))
        if (w->pid > 0 && w->ready && !w->told && crew_state(g->crew, w) == IPC_READY)
            out[n++] = (struct deal_worker){.slot = w->slot, .position = w->position};
    return n;
}

static bool set_owner(struct region *r, size_t socket, int32_t owner)
{
    struct ipc_slot *slot = region_slot(r, IPC_SLOT_WORKERS + (int)socket);

    return atomic_exchange(&slot->socket_owner, owner) != owner;
}

void generation_deal(struct generation *g)
{
    struct crew *c = g->crew;
    size_t n = listen_width(&g->listens), most = c->region->header->max_workers;
    int32_t *owners = mem_alloc((n + 1) * sizeof *owners);
    struct deal_worker *ready = mem_alloc(c->nworkers * sizeof *ready);
    bool changed = false;

    deal_sockets(owners, n, ready, find_ready(g, ready));
    for (size_t i = 0; i < most; i++)
        changed |= set_owner(c->region, i, i < n ? owners[i] : -1);
    free(owners);
    free(ready);
    if (!changed)
        return;
    atomic_fetch_add(&c->region->turn->epoch, 1);
    turn_rescue(c->region);
}

/* ---- Ending ---- */

static void tell(struct generation *g, struct worker *w, int sig, uint64_t until_ms)
{
    struct ipc_slot *slot = region_slot(g->crew->region, w->slot);

    if (w->pid <= 0)
        return;
    atomic_store(&slot->drain_until, until_ms);
    if (!w->told)
        atomic_store(&slot->drain_since, clock_ms());
    w->told = true;
    w->until = until_ms;
    kill(w->pid, sig);
}

void generation_drain_one(struct generation *g, struct worker *w, uint64_t until_ms)
{
    tell(g, w, SIGQUIT, until_ms);
    expect_end(g);
}

void generation_drain(struct generation *g, uint64_t until_ms)
{
    if (g->until == 0 || (until_ms > 0 && until_ms < g->until))
        g->until = until_ms;
    for (EACH_WORKER(w, g))
        tell(g, w, SIGQUIT, g->until);
    expect_end(g);
}

void generation_cut(struct generation *g)
{
    g->until = clock_ms();
    for (EACH_WORKER(w, g))
        tell(g, w, SIGINT, g->until);
    expect_end(g);
}

/* Nobody else can tell of them. */
static void tell_unwritten(const struct region *r, const struct worker *w)
{
    uint64_t n = board_unwritten(r, w->slot);

    if (n)
        log_warn("worker %d: %llu lines for access logs are lost with it", worker_number(w),
                 (unsigned long long)n);
}

struct respawn_death generation_bury(struct worker *w, int status)
{
    struct crew *c = w->generation->crew;
    enum ipc_state state = crew_state(c, w);
    struct respawn_death d = {.ready = w->ready || state >= IPC_READY,
                              .draining = state == IPC_DRAINING && WIFEXITED(status) &&
                                          WEXITSTATUS(status) == 0,
                              .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                              .ready_ms = w->ready ? clock_ms() - w->ready_ms : 0};

    fd_close(&w->pass);
    w->reopen = 0;
    if (d.signal)
        tell_unwritten(c->region, w);
    board_bury(c->region, w->slot);
    postmaster_bury(c->region, w->slot, false);
    child_reap(w->pid); /* not before: who read the pid from the slot may be about to ring it */
    w->pid = 0;
    /* The kernel may have woken this one alone for a connection: the others must look for themselves. */
    atomic_fetch_add(&c->region->turn->epoch, 1);
    turn_rescue(c->region);
    return d;
}
