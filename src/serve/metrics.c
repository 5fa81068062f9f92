#include "serve/metrics.h"

#include "base/clock.h"
#include "ipc/board.h"

#include <stdio.h>

struct publisher {
    int (*each)(const cs_metric *m, void *arg);
    void *arg;
    int rc;
};

static void put(struct publisher *p, const char *name, const char *help, int gauge, int64_t value,
                const cs_str *labels, size_t nlabels)
{
    if (p->rc)
        return;
    cs_metric m = {.size = sizeof m,
                   .kind = gauge ? CS_METRIC_GAUGE : CS_METRIC_COUNTER,
                   .name = name,
                   .help = help,
                   .nlabels = nlabels,
                   .labels = labels,
                   .value = value};
    p->rc = p->each(&m, p->arg);
}

static int64_t load64(const _Atomic uint64_t *v)
{
    return (int64_t)atomic_load_explicit(v, memory_order_relaxed);
}

static void put_server(struct serve *s, struct publisher *p)
{
    const struct ipc_header *h = s->region->header;
    uint64_t now = clock_wall_us(), start = (uint64_t)load64(&h->started_wall_us);
    put(p, "cserver_generation", "Settings generation that is live; grows with each reload.", 1,
        atomic_load(&h->generation), NULL, 0);
    put(p, "cserver_uptime_seconds", "Seconds since the master started.", 1,
        now > start ? (int64_t)((now - start) / 1000000) : 0, NULL, 0);
    put(p, "cserver_workers", "Workers of the live generation.", 1, s->plan->workers, NULL, 0);
    put(p, "cserver_degraded", "1 while workers keep failing to start.", 1,
        atomic_load(&h->degraded), NULL, 0);
    put(p, "cserver_reloads_total", "Reloads that went live.", 0, load64(&h->reloads), NULL, 0);
    put(p, "cserver_reloads_failed_total", "Reloads that were refused or rolled back.", 0,
        load64(&h->reloads_failed), NULL, 0);
    put(p, "cserver_worker_spawns_total", "Worker processes started.", 0, load64(&h->spawns), NULL,
        0);
    put(p, "cserver_worker_crashes_total", "Worker processes that ended unasked.", 0,
        load64(&h->crashes), NULL, 0);
    int32_t owner = atomic_load_explicit(&s->region->turn->owner, memory_order_relaxed);
    put(p, "cserver_turn_owner", "Worker that holds the accept turn, 0 = nobody.", 1,
        owner < IPC_SLOT_WORKERS ? 0 : owner - IPC_SLOT_WORKERS + 1, NULL, 0);
}

static bool ever_used(const struct ipc_slot *slot)
{
    return atomic_load_explicit(&slot->incarnation, memory_order_relaxed) != 0;
}

static cs_str number(char *out, size_t room, long long v)
{
    return (cs_str){out, (size_t)snprintf(out, room, "%lld", v)};
}

static void put_worker(struct serve *s, struct publisher *p, unsigned i)
{
    const struct ipc_slot *slot = &s->region->slots[i];
    char worker[16], pid[16], generation[16], incarnation[16];
    enum ipc_state state = (enum ipc_state)atomic_load(&slot->state);
    cs_str labels[] = {CS_S("worker"),
                       number(worker, sizeof worker, (long long)i - IPC_SLOT_WORKERS + 1),
                       CS_S("pid"),
                       number(pid, sizeof pid, atomic_load(&slot->pid)),
                       CS_S("state"),
                       str_of(board_state_name(state)),
                       CS_S("generation"),
                       number(generation, sizeof generation, atomic_load(&slot->generation)),
                       CS_S("incarnation"),
                       number(incarnation, sizeof incarnation, atomic_load(&slot->incarnation))};
    put(p, "cserver_worker_up", "1 while the worker's process lives.", 1, state != IPC_FREE, labels,
        10);
    put(p, "cserver_connections", "Open connections.", 1, atomic_load(&slot->active), labels, 2);
    for (int c = 0; c < IPC_COUNTERS; c++) {
        const struct board_counter *name = board_counter((enum ipc_counter)c);
        put(p, name->name, name->help, 0,
            (int64_t)board_get(s->region, (int)i, (enum ipc_counter)c), labels, 2);
    }
}

static void put_module_counters(struct serve *s, struct publisher *p)
{
    for (unsigned i = 0; i < IPC_MODULE_COUNTERS; i++) {
        const struct ipc_counter_name *n = &s->region->names[i];
        if (!atomic_load(&n->used))
            break;
        const char *dot = strchr(n->name, '.');
        cs_str module = {n->name, dot ? (size_t)(dot - n->name) : 0};
        char name[IPC_COUNTER_NAME + 8];
        snprintf(name, sizeof name, "%.*s_%s", CS_F(module), dot ? dot + 1 : n->name);
        cs_str labels[] = {CS_S("module"), module};
        put(p, name, n->help, 0, (int64_t)board_module_sum(s->region, i), labels, 2);
    }
}

int metrics_each(struct serve *s, int (*each)(const cs_metric *m, void *arg), void *arg)
{
    struct publisher p = {.each = each, .arg = arg};
    put_server(s, &p);
    for (unsigned i = IPC_SLOT_WORKERS; i < s->region->nslots; i++)
        if (ever_used(&s->region->slots[i]))
            put_worker(s, &p, i);
    put_module_counters(s, &p);
    return p.rc;
}
