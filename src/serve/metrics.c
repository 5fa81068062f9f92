/* metrics.c - family by family: text formats for metrics want all that has one name together. */
#include "serve/metrics.h"

#include "base/check.h"
#include "base/clock.h"
#include "config.h"
#include "ipc/board.h"
#include "os/netstat.h"
#include "os/sock.h"
#include "serve/mail_metrics.h"
#include "serve/publisher.h"

#include <stdio.h>

#define TEXT(x)       #x
#define VERSION(a, b) TEXT(a) "." TEXT(b)

static uint64_t load64(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static cs_str number(char *out, size_t room, long long v)
{
    return (cs_str){out, (size_t)snprintf(out, room, "%lld", v)};
}

/* ---- The server ------------------------------------------------------------------------------ */

static void put_build(struct publisher *p)
{
    const cs_str labels[] = {CS_S("version"), CS_S(CSERVER_VERSION), CS_S("abi"),
                             CS_S(VERSION(CS_ABI_MAJOR, CS_ABI_MINOR))};
    publisher_put(
        p, (cs_metric){.kind = CS_METRIC_GAUGE,
                       .name = "cserver_build_info",
                       .help = "Version of the server and of its module interface; always 1.",
                       .nlabels = 4,
                       .labels = labels,
                       .value = 1});
}

/* Settings are read at the start too, and were good. */
static void put_last_reload(const struct ipc_header *h, struct publisher *p)
{
    uint64_t at = load64(&h->reload_wall_us);

    publisher_gauge(p, "cserver_config_last_reload_successful",
                    "0 when the last reload was refused or rolled back, 1 when it went live or "
                    "there was none.",
                    !atomic_load(&h->reload_failed));
    publisher_gauge(p, "cserver_config_last_reload_timestamp_seconds",
                    "When the last reload ended, good or not; the start where there was none.",
                    (int64_t)((at ? at : load64(&h->started_wall_us)) / 1000000));
}

static void put_server(const struct metrics_source *s, struct publisher *p)
{
    const struct ipc_header *h = s->region->header;
    uint64_t now = clock_wall_us(), start = load64(&h->started_wall_us);
    publisher_gauge(p, "cserver_uptime_seconds", "Seconds since the master started.",
                    now > start ? (int64_t)((now - start) / 1000000) : 0);
    publisher_gauge(p, "cserver_config_generation",
                    "Settings that are live; grows with each reload.", atomic_load(&h->generation));
    publisher_gauge(p, "cserver_config_revision",
                    "Times that run-time settings of this generation have changed.",
                    atomic_load(&h->revision));
    put_last_reload(h, p);
    publisher_counter(p, "cserver_reloads_total", "Reloads that went live.", load64(&h->reloads));
    publisher_counter(p, "cserver_reloads_failed_total",
                      "Reloads that were refused or rolled back.", load64(&h->reloads_failed));
    publisher_gauge(p, "cserver_workers", "Workers of the live generation.", s->workers);
    publisher_gauge(p, "cserver_degraded",
                    "1 while workers or the primary keep failing to start, or a module is in "
                    "quarantine.",
                    atomic_load(&h->degraded));
    publisher_counter(p, "cserver_worker_spawns_total", "Worker processes started.",
                      load64(&h->spawns));
    publisher_counter(p, "cserver_worker_crashes_total", "Worker processes that ended unasked.",
                      load64(&h->crashes));
    publisher_counter(p, "cserver_workers_recycled_total",
                      "Workers that were replaced because they had had their share of requests.",
                      load64(&h->recycled));
    int32_t owner = atomic_load_explicit(&s->region->turn->owner, memory_order_relaxed);
    publisher_gauge(p, "cserver_turn_owner", "Worker that holds the accept turn, 0 = nobody.",
                    owner < IPC_SLOT_WORKERS ? 0 : region_worker(owner));
    publisher_counter(p, "cserver_stalls_total",
                      "Times that connections waited while nobody accepted, for a second or more.",
                      load64(&h->stalls));
    publisher_counter(p, "cserver_stall_kills_total",
                      "Workers killed because accepting had stalled.", load64(&h->stall_kills));
}

/* ---- Listeners ------------------------------------------------------------------------------- */

struct listener_family {
    const char *name, *help;
    int (*ask)(int fd); /* NULL: the policy, as a label */
};

static const char *policy_name(enum conf_policy policy)
{
    switch (policy) {
    case CONF_POLICY_EXCLUSIVE:
        return "exclusive";
    case CONF_POLICY_REUSEPORT:
        return "reuseport";
    default:
        return "turn";
    }
}

/* Of all sockets of the address. */
static int64_t ask_all(const struct serve_listener *l, int (*ask)(int fd))
{
    int64_t sum = 0;
    for (size_t i = 0; i < l->nfds; i++) {
        int n = ask(l->fds[i]);
        sum += n > 0 ? n : 0;
    }
    return sum;
}

static void put_listener(const struct serve_listener *l, const struct listener_family *f,
                         struct publisher *p)
{
    const cs_str labels[] = {CS_S("listener"), l->conf->head.label, CS_S("address"),
                             str_of(l->text),  CS_S("policy"),      str_of(policy_name(l->policy))};
    if (f->ask && sock_addr_is_unix(&l->addr))
        return;
    publisher_put(p, (cs_metric){.kind = CS_METRIC_GAUGE,
                                 .name = f->name,
                                 .help = f->help,
                                 .nlabels = f->ask ? 4 : 6,
                                 .labels = labels,
                                 .value = f->ask ? ask_all(l, f->ask) : 1});
}

static void put_listeners(const struct serve_plan *plan, struct publisher *p)
{
    static const struct listener_family families[] = {
        {"cserver_listen_info", "How the workers share a listener; always 1.", NULL},
        {"cserver_listen_queue",
         "Connections that wait to be accepted. TCP only: of a unix socket the kernel does not "
         "tell.",
         sock_queued},
        {"cserver_listen_backlog", "Connections that may wait to be accepted. TCP only.",
         sock_queue_room},
    };
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++)
        for (size_t i = 0; plan && i < plan->nlisteners; i++)
            put_listener(&plan->listeners[i], &families[f], p);
}

static void put_host(struct publisher *p)
{
    struct netstat_listen n;
    if (netstat_listen(&n))
        return;
    publisher_counter(
        p, "cserver_host_tcp_listen_overflows_total",
        "Connections that found an accept queue full, of all programs in the server's network "
        "namespace.",
        n.overflows);
    publisher_counter(
        p, "cserver_host_tcp_listen_drops_total",
        "Connections that listeners lost, for a full queue or other reasons, of all programs "
        "in the server's network namespace.",
        n.drops);
}

/* ---- Processes ------------------------------------------------------------------------------- */

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

static void put_others(const struct region *r, struct publisher *p)
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

static void put_workers(const struct region *r, struct publisher *p)
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
    put_drains(r, p);
    put_all_counters(&workers, p);
    put_histograms(&workers, p);
}

/* ---- Modules --------------------------------------------------------------------------------- */

/* "module.counter" becomes module_counter. */
static void family_of(const char *name, char out[IPC_COUNTER_NAME])
{
    snprintf(out, IPC_COUNTER_NAME, "%s", name);
    char *dot = strchr(out, '.');
    if (dot)
        *dot = '_';
}

static unsigned module_counters(const struct region *r)
{
    unsigned n = 0;
    while (n < IPC_MODULE_COUNTERS && atomic_load_explicit(&r->names[n].used, memory_order_acquire))
        n++;
    return n;
}

/* Counters a.b_c and a_b.c are one family, so each puts those of its name that come after it. */
static void put_family(const struct region *r, struct publisher *p, unsigned first, unsigned n)
{
    char family[IPC_COUNTER_NAME], name[IPC_COUNTER_NAME];
    family_of(r->names[first].name, family);
    for (unsigned i = 0; i < n; i++) {
        const char *full = r->names[i].name, *dot = strchr(full, '.');
        const cs_str labels[] = {CS_S("module"), {full, dot ? (size_t)(dot - full) : 0}};
        family_of(full, name);
        if (strcmp(family, name) != 0)
            continue;
        if (i < first)
            return;
        publisher_put(p, (cs_metric){.kind = CS_METRIC_COUNTER,
                                     .name = family,
                                     .help = r->names[first].help,
                                     .nlabels = 2,
                                     .labels = labels,
                                     .value = (int64_t)board_module_sum(r, i)});
    }
}

struct module_family {
    int kind;
    const char *name, *help;
    uint64_t (*value)(const struct region *r, const struct ipc_module *m);
};

static uint64_t is_quarantined(const struct region *r, const struct ipc_module *m)
{
    return board_is_quarantined(r, m);
}

static uint64_t crashes(const struct region *r, const struct ipc_module *m)
{
    (void)r;
    return atomic_load_explicit(&m->crashes, memory_order_relaxed);
}

static uint64_t stalls(const struct region *r, const struct ipc_module *m)
{
    (void)r;
    return atomic_load_explicit(&m->stalls, memory_order_relaxed);
}

static const struct module_family module_families[] = {
    {CS_METRIC_GAUGE, "cserver_module_quarantined",
     "1 while a module is not called because it has crashed too often.", is_quarantined},
    {CS_METRIC_COUNTER, "cserver_module_crashes_total",
     "Processes that have died in a module's code.", crashes},
    {CS_METRIC_COUNTER, "cserver_module_stalls_total",
     "Times a process was in a module's code for longer than block_warn.", stalls},
};

static void put_containment(const struct region *r, struct publisher *p)
{
    for (size_t f = 0; f < ARRAY_LEN(module_families); f++)
        for (unsigned i = 1; i < IPC_MODULES && board_module(r, i); i++) {
            const struct module_family *family = &module_families[f];
            const cs_str labels[] = {CS_S("module"), str_of(r->modules[i].name)};
            publisher_put(p, (cs_metric){.kind = family->kind,
                                         .name = family->name,
                                         .help = family->help,
                                         .nlabels = 2,
                                         .labels = labels,
                                         .value = (int64_t)family->value(r, &r->modules[i])});
        }
}

static void put_modules(const struct region *r, struct publisher *p)
{
    unsigned n = module_counters(r);
    put_containment(r, p);
    for (unsigned i = 0; i < n; i++)
        put_family(r, p, i, n);
}

int metrics_each(const struct metrics_source *src, int (*each)(const cs_metric *m, void *arg),
                 void *arg)
{
    struct publisher p = {.each = each, .arg = arg};
    put_build(&p);
    put_server(src, &p);
    put_listeners(src->plan, &p);
    put_host(&p);
    put_workers(src->region, &p);
    put_others(src->region, &p);
    mail_metrics_put(src->region, &p);
    put_modules(src->region, &p);
    return p.rc;
}
