/* worker.c - see worker.h. The order of the main loop is serve.h's. */
#include "proc/worker.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/cpu.h"
#include "ipc/fdpass.h"
#include "os/child.h"
#include "os/cpu.h"
#include "os/fd.h"
#include "os/sig.h"
#include "serve/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH   256
#define LAST_MS 500 /* what is left after a cut may take so long */

struct worker_self {
    const struct heritage *heritage;
    struct ipc_slot *slot;
    struct loop loop;
    struct host host;
    struct serve *serve;
    struct loop_io signals, lifeline, pass;
    struct timer deadline;
    bool draining, cut, over;
    uint64_t until; /* of the drain; 0 = no deadline */
    int error_log;  /* a reopened one, ours to close */
};

static void set_state(struct worker_self *w, enum ipc_state state)
{
    atomic_store(&w->slot->state, (uint32_t)state);
    fd_event_ring(w->heritage->region->master_bell);
}

static void cut(struct worker_self *w)
{
    if (w->cut)
        return;
    w->cut = true;
    serve_cut(w->serve);
    timer_set(&w->loop.timers, &w->deadline, LAST_MS);
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
    if (until == 0)
        timer_clear(&w->loop.timers, &w->deadline);
    else
        timer_set(&w->loop.timers, &w->deadline, until > now ? until - now : 0);
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
        child_title_set("cserver: worker %d (draining)", heritage_number(w->heritage));
        serve_drain(w->serve);
        close_listeners(w->heritage->plan);
        set_state(w, IPC_DRAINING); /* the master takes it as: accepts no more */
    }
    set_deadline(w, until);
}

static void drain_soon(struct worker_self *w)
{
    uint64_t until = clock_ms() + (uint64_t)w->heritage->shutdown_timeout;

    if (!w->draining || w->until == 0 || until < w->until)
        drain(w, until);
}

static void end_now(struct worker_self *w)
{
    drain(w, clock_ms());
    cut(w);
}

static void on_signals(struct loop_io *io, uint32_t events)
{
    struct worker_self *w = CONTAINER_OF(io, struct worker_self, signals);
    int sig, pid;

    (void)events;
    while ((sig = sig_read(io->fd, &pid)))
        if (sig == SIGQUIT)
            drain(w, atomic_load(&w->slot->drain_until));
        else if (sig == SIGTERM)
            drain_soon(w);
        else if (sig == SIGINT)
            end_now(w);
}

static void on_lifeline(struct loop_io *io, uint32_t events)
{
    struct worker_self *w = CONTAINER_OF(io, struct worker_self, lifeline);

    (void)events;
    loop_del(&w->loop, io);
    log_warn("the master has died: this worker finishes what it has and ends");
    drain_soon(w);
}

static void use_log(struct worker_self *w, const struct fdpass_msg *msg, int fd)
{
    if (msg->kind == FDPASS_ERROR_LOG) {
        log_open(fd, w->heritage->json);
        fd_close(&w->error_log);
        w->error_log = fd;
    } else if (msg->kind == FDPASS_ACCESS_LOG) {
        serve_reopen_access_log(w->serve, fd);
    } else {
        close(fd);
    }
}

static void on_pass(struct loop_io *io, uint32_t events)
{
    struct worker_self *w = CONTAINER_OF(io, struct worker_self, pass);
    struct fdpass_msg msg;
    int fd = -1, rc;

    (void)events;
    while ((rc = fdpass_recv(io->fd, &msg, &fd)) == 1) {
        if (fd >= 0)
            use_log(w, &msg, fd);
        atomic_store(&w->slot->reopened, msg.serial);
        fd_event_ring(w->heritage->region->master_bell);
        fd = -1;
    }
    if (rc < 0 && rc != -EAGAIN)
        loop_del(&w->loop, io); /* the master has gone; the lifeline says what follows */
}

static int watch(struct worker_self *w, struct loop_io *io, int fd,
                 void (*on_ready)(struct loop_io *, uint32_t))
{
    *io = (struct loop_io){.fd = fd, .on_ready = on_ready};
    return fd < 0 ? fd : loop_set(&w->loop, io, EPOLLIN);
}

static int open_loop(struct worker_self *w)
{
    int rc = loop_init(&w->loop, BATCH);

    if (rc == 0)
        rc = watch(w, &w->signals, sig_open(), on_signals);
    if (rc == 0)
        rc = watch(w, &w->lifeline, w->heritage->lifeline, on_lifeline);
    if (rc == 0)
        rc = watch(w, &w->pass, w->heritage->pass, on_pass);
    timer_init(&w->deadline, on_deadline);
    return rc;
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

static bool start(struct worker_self *w)
{
    const struct heritage *h = w->heritage;
    int rc;

    go_to_cpu(h);
    if (h->user.drop) {
        rc = child_user_become(h->user.name, h->user.uid, h->user.gid);
        if (rc < 0) {
            log_error("cannot become the user %s: %s", h->user.name, strerror(-rc));
            return false;
        }
    }
    rc = open_loop(w);
    if (rc < 0) {
        log_error("cannot set up the event loop: %s", strerror(-rc));
        return false;
    }
    struct host_opts opts = {.conf = h->plan->conf,
                             .loop = &w->loop,
                             .region = h->region,
                             .slot = h->slot,
                             .workers = h->plan->workers,
                             .generation = h->generation};
    if (host_open(&w->host, &opts) < 0 || serve_new(&w->serve, h->plan, &w->host) < 0)
        return false;
    host_drain(&w->host); /* the latest values come before the first request */
    set_state(w, IPC_READY);
    serve_open(w->serve);
    return true;
}

static void turn_once(struct worker_self *w)
{
    serve_before_wait(w->serve);
    loop_wait(&w->loop, host_wait_ms(&w->host));
    serve_after_wait(w->serve);
    loop_dispatch(&w->loop);
    if (!serve_has_turn(w->serve))
        host_drain(&w->host);
    loop_run_timers(&w->loop);
    loop_reap(&w->loop);
}

static bool is_finished(struct worker_self *w)
{
    return w->draining && serve_idle(w->serve) && host_is_done(&w->host);
}

int worker_run(const struct heritage *h)
{
    struct worker_self w = {.heritage = h, .error_log = -1};
    char name[32];
    bool good;

    snprintf(name, sizeof name, "worker %d", heritage_number(h));
    log_set_name(name);
    child_title_set("cserver: %s", name);
    clock_update();
    w.slot = region_slot(h->region, h->slot);
    good = start(&w);
    while (good && !w.over && !is_finished(&w))
        turn_once(&w);
    if (good)
        serve_free(w.serve);
    if (w.host.conf)
        host_close(&w.host);
    if (w.loop.ready)
        loop_free(&w.loop);
    return good ? 0 : 1;
}
