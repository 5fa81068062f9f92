/* process.c - see process.h. */
#include "proc/process.h"

#include "base/clock.h"
#include "base/log.h"
#include "os/child.h"
#include "os/fd.h"
#include "os/sig.h"
#include "proc/tune.h"
#include "proc/user.h"
#include "proc/whereabouts.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH          256
#define ORPHAN_GRACE_S 5

/* Seconds after the master's death in which this process has ended, whatever it is doing then. */
static unsigned orphan_limit_s;
static struct ipc_slot *own_slot;

/* The kernel's word that the master has died. The loop hears it from the lifeline, but a module may never return to the
 * loop, and nobody is there any more to kill the process for it: then SIGALRM does. Who has not begun to serve has
 * nothing to finish, and only holds up the next server. */
static void on_master_death(int sig)
{
    (void)sig;
    if (atomic_load(&own_slot->state) < IPC_READY)
        _exit(1);
    alarm(orphan_limit_s);
}

static void limit_orphan(const struct heritage *h)
{
    orphan_limit_s = (unsigned)(heritage_shutdown(h) / 1000) + ORPHAN_GRACE_S;
}

static void expect_master_death(struct ipc_slot *slot, const struct heritage *h)
{
    struct sigaction act = {.sa_handler = on_master_death, .sa_flags = SA_RESTART};
    sigset_t both;

    own_slot = slot;
    limit_orphan(h);
    signal(SIGALRM, SIG_DFL);
    sigemptyset(&act.sa_mask);
    sigaction(PROCESS_ORPHAN_SIGNAL, &act, NULL);
    sigemptyset(&both);
    sigaddset(&both, SIGALRM);
    sigaddset(&both, PROCESS_ORPHAN_SIGNAL);
    sigprocmask(SIG_UNBLOCK, &both, NULL);
}

void process_init(struct process *p, const struct heritage *h, const char *name)
{
    p->heritage = h;
    p->slot = region_slot(h->region, h->slot);
    p->error_log = log_fd() > STDERR_FILENO ? log_fd() : -1;
    p->revision = h->revision;
    log_set_name(name);
    child_title_set("cserver: %s", name);
    expect_master_death(p->slot, h);
    whereabouts_watch(h->region, h->plan->conf);
    clock_update();
}

void process_set_state(struct process *p, enum ipc_state state)
{
    atomic_store(&p->slot->state, (uint32_t)state);
    fd_event_ring(p->heritage->region->master_bell);
}

static void on_signals(struct loop_io *io, uint32_t events)
{
    struct process *p = CONTAINER_OF(io, struct process, signals);
    int sig, pid;

    (void)events;
    while ((sig = sig_read(io->fd, &pid)))
        p->on_signal(p, sig);
}

static void on_lifeline(struct loop_io *io, uint32_t events)
{
    struct process *p = CONTAINER_OF(io, struct process, lifeline);

    (void)events;
    loop_del(&p->loop, io);
    p->on_orphaned(p);
}

static void use(struct process *p, const struct fdpass_msg *msg, int fd)
{
    if (msg->kind == FDPASS_ERROR_LOG) {
        log_open(fd, p->heritage->json);
        fd_close(&p->error_log);
        p->error_log = fd;
    } else if (msg->kind == FDPASS_ACCESS_LOG && p->on_access_log) {
        p->on_access_log(p, msg->index, fd);
    } else if (msg->kind == FDPASS_CONNECTION && p->on_connection) {
        p->on_connection(p, fd);
    } else if ((msg->kind == FDPASS_HEIR || msg->kind == FDPASS_LEGACY) && p->on_channel) {
        p->on_channel(p, msg, fd);
    } else {
        close(fd);
    }
}

void process_look(struct process *p)
{
    if (!p->reopen || (p->is_reopening && p->is_reopening(p)))
        return;
    atomic_store(&p->slot->reopened, p->reopen);
    p->reopen = 0;
    fd_event_ring(p->heritage->region->master_bell);
}

static void on_pass(struct loop_io *io, uint32_t events)
{
    struct process *p = CONTAINER_OF(io, struct process, pass);
    struct fdpass_msg msg;
    int fd = -1, rc;

    (void)events;
    while ((rc = fdpass_recv(io->fd, &msg, &fd)) == 1) {
        if (fd >= 0)
            use(p, &msg, fd);
        fd = -1;
        if (msg.kind == FDPASS_ERROR_LOG || msg.kind == FDPASS_ACCESS_LOG)
            p->reopen = msg.serial;
    }
    process_look(p);
    if (rc < 0 && rc != -EAGAIN)
        loop_del(&p->loop, io); /* the master has gone; the lifeline says what follows */
}

int process_watch(struct process *p, struct loop_io *io, int fd,
                  void (*on_ready)(struct loop_io *io, uint32_t events))
{
    *io = (struct loop_io){.fd = fd, .on_ready = on_ready};
    return fd < 0 ? fd : loop_set(&p->loop, io, EPOLLIN);
}

static int open_loop(struct process *p)
{
    int rc = loop_init(&p->loop, BATCH);

    if (rc == 0)
        rc = process_watch(p, &p->signals, sig_open(), on_signals);
    if (rc == 0)
        rc = process_watch(p, &p->lifeline, p->heritage->lifeline, on_lifeline);
    if (rc == 0)
        rc = process_watch(p, &p->pass, p->heritage->pass, on_pass);
    return rc;
}

bool process_open(struct process *p)
{
    int rc = user_become(&p->heritage->user);

    if (rc < 0) {
        char *why = user_complaint(&p->heritage->user, rc);

        log_error("%s", why);
        free(why);
        return false;
    }
    rc = open_loop(p);
    if (rc < 0)
        log_error("cannot set up the event loop: %s", strerror(-rc));
    return rc == 0;
}

static void on_settings(void *arg, const void *data, size_t len)
{
    struct process *p = arg;
    const struct heritage *h = p->heritage;

    if (!tune_take(h, &p->revision, data, len))
        return;
    log_set_level((enum log_level)h->conf->server.log_level);
    whereabouts_watch_stays(h->region, (uint64_t)h->conf->server.block_warn);
    limit_orphan(h);
    if (p->on_tuned)
        p->on_tuned(p);
    log_debug("has the run-time settings of revision %u", (unsigned)p->revision);
}

int process_open_host(struct process *p, struct host *host)
{
    const struct heritage *h = p->heritage;
    struct host_opts opts = {.conf = h->plan->conf,
                             .loop = &p->loop,
                             .region = h->region,
                             .slot = h->slot,
                             .workers = h->plan->workers,
                             .generation = h->generation,
                             .on_settings = on_settings,
                             .settings_arg = p};

    whereabouts_watch_stays(h->region, (uint64_t)h->plan->conf->server.block_warn);
    int rc = host_open(host, &opts);
    whereabouts_note_objects(h->plan->conf);
    return rc;
}

void process_close(struct process *p)
{
    if (p->loop.ready)
        loop_free(&p->loop);
}
