/* metrics.c - family by family: text formats for metrics want all that has one name together. */
#include "serve/metrics.h"

#include "base/clock.h"
#include "config.h"
#include "os/netstat.h"
#include "os/sock.h"
#include "serve/mail_metrics.h"
#include "serve/module_metrics.h"
#include "serve/process_metrics.h"
#include "serve/publisher.h"

#define TEXT(x)       #x
#define VERSION(a, b) TEXT(a) "." TEXT(b)

static uint64_t load64(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
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

int metrics_each(const struct metrics_source *src, int (*each)(const cs_metric *m, void *arg),
                 void *arg)
{
    struct publisher p = {.each = each, .arg = arg};
    put_build(&p);
    put_server(src, &p);
    put_listeners(src->plan, &p);
    put_host(&p);
    process_metrics_put_workers(src->region, &p);
    process_metrics_put_others(src->region, &p);
    mail_metrics_put(src->region, &p);
    module_metrics_put(src->region, &p);
    return p.rc;
}
