/* process_metrics.c - see process_metrics.h. */
#include "serve/process_metrics.h"

#include "base/clock.h"
#include "ipc/board.h"

#include <stdio.h>
#include <string.h>

static cs_str number(char *out, size_t room, long long v)
{
    return (cs_str){out, (size_t)snprintf(out, room, "%lld", v)};
}

/* What a slot has counted stays, whoever lives. */
static bool had_process(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].incarnation, memory_order_relaxed);
}

static bool had_worker(const struct region *r, int slot)
{
    return slot >= IPC_SLOT_WORKERS && had_process(r, slot);
}

/* The master is there as long as anybody can ask. */
static bool had_other(const struct region *r, int slot)
{
    return slot < IPC_SLOT_WORKERS && slot != IPC_SLOT_MASTER && had_process(r, slot);
}

static int64_t is_up(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].state, memory_order_relaxed) != IPC_FREE;
}

static int64_t active(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].active, memory_order_relaxed);
}

static int64_t max(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].max, memory_order_relaxed);
}

static int64_t idle(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].idle, memory_order_relaxed);
}

static int64_t streams(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].streams, memory_order_relaxed);
}

static int64_t tasks(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].tasks, memory_order_relaxed);
}

static int64_t task_stacks(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].task_stacks, memory_order_relaxed);
}

static int64_t task_stack_peak(const struct region *r, int slot)
{
    return (int64_t)atomic_load_explicit(&r->slots[slot].task_stack_peak, memory_order_relaxed);
}

static int64_t fetch_conns(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].fetch_conns, memory_order_relaxed);
}

static int64_t fetch_idle(const struct region *r, int slot)
{
    return atomic_load_explicit(&r->slots[slot].fetch_idle, memory_order_relaxed);
}

static void put_fetch(const struct owners *workers, struct publisher *p)
{
    owners_gauge(workers, p, "cserver_fetch_connections", "Connections to other servers.",
                 fetch_conns);
    owners_gauge(workers, p, "cserver_fetch_connections_idle",
                 "Connections to other servers that are kept for a next request.", fetch_idle);
}

static void put_tasks(const struct owners *workers, struct publisher *p)
{
    owners_gauge(workers, p, "cserver_tasks", "Tasks that wait.", tasks);
    owners_gauge(workers, p, "cserver_task_stacks",
                 "Stacks of tasks, those that are kept for the next among them.", task_stacks);
    owners_gauge(workers, p, "cserver_task_stack_peak_bytes",
                 "Most bytes of a task's stack that were seen used; task_stack is the limit.",
                 task_stack_peak);
}

static bool drains(const struct region *r, int slot)
{
    return had_worker(r, slot) && is_up(r, slot) && atomic_load(&r->slots[slot].drain_since) > 0;
}

static int64_t drain_seconds(const struct region *r, int slot)
{
    uint64_t now = clock_ms(), since = atomic_load(&r->slots[slot].drain_since);
    return now > since ? (int64_t)((now - since) / 1000) : 0;
}

static bool drains_with_limit(const struct region *r, int slot)
{
    return drains(r, slot) && atomic_load(&r->slots[slot].drain_until) > 0;
}

static int64_t drain_left(const struct region *r, int slot)
{
    uint64_t now = clock_ms(), until = atomic_load(&r->slots[slot].drain_until);
    return until > now ? (int64_t)((until - now + 999) / 1000) : 0;
}

/* Of those alone that drain. */
static void put_drains(const struct region *r, struct publisher *p)
{
    const struct owners all = {r, drains}, limited = {r, drains_with_limit};
    owners_gauge(&all, p, "cserver_worker_drain_seconds", "How long a worker has drained.",
                 drain_seconds);
    owners_gauge(&limited, p, "cserver_worker_drain_left_seconds",
                 "Seconds until a worker that drains is ended.", drain_left);
}

/* Of those that live: what it says would be another series with each incarnation. */
static void put_info(const struct owners *all, struct publisher *p, const char *name,
                     const char *help)
{
    for (struct owner o = OWNER_NONE; owner_next(all, &o);) {
        const struct ipc_slot *slot = &all->region->slots[o.slot];
        char pid[16], generation[16], incarnation[16];
        enum ipc_state state = (enum ipc_state)atomic_load(&slot->state);
        if (state == IPC_FREE)
            continue;
        owner_label(&o, 1, CS_S("pid"), number(pid, sizeof pid, atomic_load(&slot->pid)));
        owner_label(&o, 2, CS_S("state"), str_of(board_state_name(state)));
        owner_label(&o, 3, CS_S("generation"),
                    number(generation, sizeof generation, atomic_load(&slot->generation)));
        owner_label(&o, 4, CS_S("incarnation"),
                    number(incarnation, sizeof incarnation, atomic_load(&slot->incarnation)));
        publisher_put(p, (cs_metric){.kind = CS_METRIC_GAUGE,
                                     .name = name,
                                     .help = help,
                                     .nlabels = 10,
                                     .labels = o.labels,
                                     .value = 1});
    }
}

static void put_starts(const struct owners *all, struct publisher *p)
{
    for (struct owner o = OWNER_NONE; owner_next(all, &o);)
        publisher_put(p,
                      (cs_metric){.kind = CS_METRIC_COUNTER,
                                  .name = "cserver_process_starts_total",
                                  .help = "Times that a process that is no worker was started.",
                                  .nlabels = 2,
                                  .labels = o.labels,
                                  .value = atomic_load(&all->region->slots[o.slot].incarnation)});
}

void process_metrics_put_others(const struct region *r, struct publisher *p)
{
    const struct owners others = {r, had_other};
    owners_gauge(&others, p, "cserver_process_up", "1 while a process that is no worker lives.",
                 is_up);
    put_info(&others, p, "cserver_process_info", "A process that is no worker; always 1.");
    put_starts(&others, p);
}

/* The counters from..to - 1, which have one name. */
static void put_counters(const struct owners *all, struct publisher *p, int from, int to)
{
    for (struct owner o = OWNER_NONE; owner_next(all, &o);)
        for (int c = from; c < to; c++) {
            const struct board_counter *b = board_counter((enum ipc_counter)c);
            owner_label(&o, 1, str_of(b->label), str_of(b->label_value));
            publisher_put(p, (cs_metric){.kind = CS_METRIC_COUNTER,
                                         .name = b->name,
                                         .help = b->help,
                                         .nlabels = b->label ? 4 : 2,
                                         .labels = o.labels,
                                         .value = (int64_t)board_get(all->region, o.slot,
                                                                     (enum ipc_counter)c)});
        }
}

static void put_all_counters(const struct owners *all, struct publisher *p)
{
    for (int from = 0, to; from < IPC_COUNTERS; from = to) {
        const char *name = board_counter((enum ipc_counter)from)->name;
        for (to = from + 1; to < IPC_COUNTERS; to++)
            if (strcmp(board_counter((enum ipc_counter)to)->name, name) != 0)
                break;
        put_counters(all, p, from, to);
    }
}

static void put_histograms(const struct owners *all, struct publisher *p)
{
    for (int h = 0; h < IPC_HISTOGRAMS; h++) {
        const struct board_histogram *b = board_histogram((enum ipc_histogram)h);
        for (struct owner o = OWNER_NONE; owner_next(all, &o);)
            publisher_histogram(
                p, (cs_metric){.name = b->name, .help = b->help, .nlabels = 2, .labels = o.labels},
                &all->region->slots[o.slot].histograms[h]);
    }
}

void process_metrics_put_workers(const struct region *r, struct publisher *p)
{
    const struct owners workers = {r, had_worker};
    owners_gauge(&workers, p, "cserver_worker_up", "1 while the worker's process lives.", is_up);
    put_info(&workers, p, "cserver_worker_info", "The process of a worker; always 1.");
    owners_gauge(&workers, p, "cserver_connections", "Open connections.", active);
    owners_gauge(&workers, p, "cserver_connections_max", "Most connections that the worker takes.",
                 max);
    owners_gauge(&workers, p, "cserver_connections_idle",
                 "Open connections that wait for a next request.", idle);
    owners_gauge(&workers, p, "cserver_streams",
                 "Open streams: answers that go on without a request.", streams);
    put_tasks(&workers, p);
    put_fetch(&workers, p);
    put_drains(r, p);
    put_all_counters(&workers, p);
    put_histograms(&workers, p);
}
