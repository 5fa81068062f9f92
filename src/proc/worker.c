/* worker.c - see worker.h. The order of the main loop is serve.h's. */
#include "proc/worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "conf/cpu.h"
#include "os/child.h"
#include "os/cpu.h"
#include "os/fd.h"
#include "proc/process.h"
#include "serve/serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_MS 500 /* what is left after a cut may take so long */

struct worker_self {
    struct process process;
    struct host host;
    struct serve *serve;
    struct timer deadline;
    bool draining, cut, over, orphan;
    uint64_t until; /* of the drain; 0 = no deadline */
};

static void cut(struct worker_self *w)
{
    if (w->cut)
        return;
    w->cut = true;
    serve_cut(w->serve);
    timer_set(&w->process.loop.timers, &w->deadline, LAST_MS);
}

static void on_deadline(struct timer *t)
{
    struct worker_self *w = CONTAINER_OF(t, struct worker_self, deadline);
    unsigned connections, busy;

    if (w->cut) {
        w->over = true;
        return;
    }
    serve_count(w->serve, &connections, &busy);
    if (connections > 0)
        log_warn("time to drain is over: closing %u connections, %u of them in the middle of a "
                 "request",
                 connections, busy);
    cut(w);
}

static void set_deadline(struct worker_self *w, uint64_t until)
{
    uint64_t now = clock_ms();

    w->until = until;
    if (w->cut)
        return;
    serve_drain_until(w->serve, until);
    if (until == 0)
        timer_clear(&w->process.loop.timers, &w->deadline);
    else
        timer_set(&w->process.loop.timers, &w->deadline, until > now ? until - now : 0);
}

/* The last process to close a listener makes the kernel refuse who comes next. */
static void close_listeners(struct serve_plan *plan)
{
    for (size_t i = 0; i < plan->nlisteners; i++)
        for (size_t k = 0; k < plan->listeners[i].nfds; k++)
            fd_close(&plan->listeners[i].fds[k]);
}

/* Drains until `until`; a drain that is under way only gets another deadline. */
static void drain(struct worker_self *w, uint64_t until)
{
    if (!w->draining) {
        w->draining = true;
        if (atomic_load(&w->process.slot->drain_since) == 0)
            atomic_store(&w->process.slot->drain_since, clock_ms());
        child_title_set("cserver: worker %d (draining)", heritage_number(w->process.heritage));
        serve_drain(w->serve);
        close_listeners(w->process.heritage->plan);
        process_set_state(&w->process, IPC_DRAINING); /* the master takes it as: accepts no more */
    }
    set_deadline(w, until);
    if (w->orphan || atomic_load(&w->process.heritage->region->header->leaving))
        serve_leave(w->serve);
}

static void drain_soon(struct worker_self *w)
{
    uint64_t until = clock_ms() + heritage_shutdown(w->process.heritage);

    if (!w->draining || w->until == 0 || until < w->until)
        drain(w, until);
}

static void end_now(struct worker_self *w)
{
    drain(w, clock_ms());
    cut(w);
}

static void on_signal(struct process *process, int sig)
{
    struct worker_self *w = CONTAINER_OF(process, struct worker_self, process);

    if (sig == SIGQUIT)
        drain(w, atomic_load(&process->slot->drain_until));
    else if (sig == SIGTERM)
        drain_soon(w);
    else if (sig == SIGINT)
        end_now(w);
}

static void on_orphaned(struct process *process)
{
    struct worker_self *w = CONTAINER_OF(process, struct worker_self, process);

    log_warn("the master has died: this worker finishes what it has and ends");
    w->orphan = true;
    drain_soon(w);
    serve_leave(w->serve);
}

static void on_channel(struct process *process, const struct fdpass_msg *msg, int fd)
{
    struct worker_self *w = CONTAINER_OF(process, struct worker_self, process);

    if (msg->kind == FDPASS_HEIR)
        serve_give(w->serve, fd, msg->serial);
    else
        serve_take(w->serve, fd);
}

static void on_access_log(struct process *process, unsigned index, int log)
{
    serve_reopen_access_log(CONTAINER_OF(process, struct worker_self, process)->serve, index, log);
}

static bool is_reopening(struct process *process)
{
    return serve_is_reopening(CONTAINER_OF(process, struct worker_self, process)->serve);
}

static void on_connection(struct process *process, int fd)
{
    serve_adopt(CONTAINER_OF(process, struct worker_self, process)->serve, fd);
}

/* The CPU of a worker's position, from the list or from what the server may use; beyond the end it begins again. */
static bool cpu_of(const struct heritage *h, unsigned *cpu)
{
    unsigned position = atomic_load(&region_slot(h->region, h->slot)->position);
    struct buf error = {0};
    struct conf_cpu c;
    size_t bad;

    if (conf_cpu_parse(&h->plan->conf->server.cpu, &c, &bad, &error) == 0 &&
        c.mode == CONF_CPU_AUTO)
        c.v = cpu_allowed(&c.n);
    buf_free(&error);
    if (c.n > 0)
        *cpu = c.v[position % c.n];
    free(c.v);
    return c.n > 0;
}

/* The worker works elsewhere too. */
static void go_to_cpu(const struct heritage *h)
{
    unsigned cpu = 0;
    int rc;

    if (!cpu_of(h, &cpu))
        return;
    rc = cpu_use(cpu);
    if (rc < 0)
        log_warn("cannot stay on CPU %u: %s", cpu, strerror(-rc));
    else
        log_debug("stays on CPU %u", cpu);
}

static void on_tuned(struct process *process)
{
    serve_tune(CONTAINER_OF(process, struct worker_self, process)->serve);
}

static bool start(struct worker_self *w)
{
    const struct heritage *h = w->process.heritage;

    go_to_cpu(h);
    timer_init(&w->deadline, on_deadline);
    if (!process_open(&w->process) || process_open_host(&w->process, &w->host) < 0 ||
        serve_new(&w->serve, h->plan, &w->host) < 0)
        return false;
    host_drain(&w->host); /* the latest values come before the first request */
    process_set_state(&w->process, IPC_READY);
    serve_open(w->serve);
    return true;
}

static void turn_once(struct worker_self *w)
{
    serve_before_wait(w->serve);
    loop_wait(&w->process.loop, host_wait_ms(&w->host));
    serve_after_wait(w->serve);
    loop_dispatch(&w->process.loop);
    if (!serve_has_turn(w->serve)) {
        host_drain(&w->host);
        serve_hear_mail(w->serve);
    }
    loop_run_timers(&w->process.loop);
    loop_reap(&w->process.loop);
    process_look(&w->process);
}

static bool is_finished(struct worker_self *w)
{
    return w->draining && serve_idle(w->serve) && host_is_done(&w->host) &&
           serve_has_logged(w->serve, w->until != 0);
}

int worker_run(const struct heritage *h)
{
    struct worker_self w = {.process = {.on_signal = on_signal,
                                        .on_orphaned = on_orphaned,
                                        .on_access_log = on_access_log,
                                        .is_reopening = is_reopening,
                                        .on_tuned = on_tuned,
                                        .on_connection = on_connection,
                                        .on_channel = on_channel}};
    char name[32];
    bool good, worked;

    snprintf(name, sizeof name, "worker %d", heritage_number(h));
    process_init(&w.process, h, name);
    good = start(&w);
    while (good && !w.over && !is_finished(&w))
        turn_once(&w);
    if (good)
        serve_cut(w.serve);
    worked = !w.host.conf || host_end_work(&w.host);
    if (good)
        worked = serve_end_logs(w.serve) && worked;
    if (good && worked)
        serve_free(w.serve);
    if (w.host.conf)
        host_close(&w.host);
    process_close(&w.process);
    if (!worked) /* a thread still uses what exit would free */
        _exit(good ? 0 : 1);
    return good ? 0 : 1;
}
