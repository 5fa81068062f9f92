/* primary.c - see primary.h. The order of the main loop is mailbox.h's. */
#include "proc/primary.h"

#include "base/clock.h"
#include "base/log.h"
#include "module/host.h"
#include "os/fd.h"
#include "proc/process.h"

#include <signal.h>
#include <unistd.h>

#define ORPHAN_LOOK_MS 100

struct primary_self {
    struct process process;
    struct host host;
    struct loop_io bell;
    bool told;               /* to end */
    bool now;                /* without further ado */
    bool orphaned;           /* ends after the workers */
    uint64_t orphaned_until; /* or then */
};

static void on_signal(struct process *process, int sig)
{
    struct primary_self *p = CONTAINER_OF(process, struct primary_self, process);

    p->told |= sig == SIGQUIT || sig == SIGTERM || sig == SIGINT;
    p->now |= sig == SIGINT;
}

static void on_orphaned(struct process *process)
{
    struct primary_self *p = CONTAINER_OF(process, struct primary_self, process);

    log_warn("the master has died: the primary ends when the workers have");
    p->orphaned = true;
    p->orphaned_until = clock_ms() + heritage_shutdown(process->heritage) + PRIMARY_ORPHAN_MS;
}

/* Nobody buries the dead any more, and perhaps nobody reaps them: who has not left the mail may have been killed. */
static bool is_worker_there(const struct region *r, int slot)
{
    uint32_t state = atomic_load(&r->mailboxes[slot].state);
    int pid = atomic_load(&region_slot(r, slot)->pid);

    return (state == IPC_MAIL_LIVE || state == IPC_MAIL_LAGGING) && pid > 0 && kill(pid, 0) == 0;
}

static bool is_alone(const struct primary_self *p)
{
    const struct region *r = p->process.heritage->region;

    for (int i = IPC_SLOT_WORKERS; i < (int)r->nslots; i++)
        if (is_worker_there(r, i))
            return false;
    return true;
}

static void on_bell(struct loop_io *io, uint32_t events)
{
    (void)events;
    fd_event_drain(io->fd);
}

/* A socket that is held here would take connections that nobody accepts. */
static void let_go(struct serve_plan *plan)
{
    for (size_t i = 0; i < plan->nlisteners; i++)
        for (size_t k = 0; k < plan->listeners[i].nfds; k++)
            fd_close(&plan->listeners[i].fds[k]);
    for (size_t i = 0; i < plan->nroots; i++)
        fd_close(&plan->roots[i].fd);
    for (size_t i = 0; i < plan->conf->nlogs; i++)
        if (plan->log_fds[i] > STDERR_FILENO)
            fd_close(&plan->log_fds[i]);
}

static bool start(struct primary_self *p)
{
    const struct heritage *h = p->process.heritage;

    let_go(h->plan);
    if (!process_open(&p->process))
        return false;
    if (process_watch(&p->process, &p->bell, h->region->bells[h->slot], on_bell) < 0) {
        log_error("cannot set up the event loop");
        return false;
    }
    if (process_open_host(&p->process, &p->host) < 0)
        return false;
    host_drain(&p->host); /* the latest values come first */
    process_set_state(&p->process, IPC_READY);
    return true;
}

static void react(struct loop *loop)
{
    loop_dispatch(loop);
    loop_run_timers(loop);
    loop_reap(loop);
}

static void wait_once(struct primary_self *p, int most_ms)
{
    struct mailbox *mail = &p->host.mail;
    int ms;

    mailbox_park(mail);
    ms = host_wait_ms(&p->host);
    loop_wait(&p->process.loop, ms < 0 || (most_ms >= 0 && ms > most_ms) ? most_ms : ms);
    mailbox_wake(mail);
    react(&p->process.loop);
}

static void turn_once(struct primary_self *p, int most_ms)
{
    host_drain(&p->host);
    wait_once(p, most_ms);
}

static void live(struct primary_self *p)
{
    while (!p->told && !p->orphaned)
        turn_once(p, -1);
    while (!p->told && !is_alone(p) && clock_ms() < p->orphaned_until)
        turn_once(p, ORPHAN_LOOK_MS);
}

/* The stop hooks come after the last message: they may rely on having seen all. */
static void end(struct primary_self *p)
{
    uint64_t until = clock_ms() + PRIMARY_END_MS;

    process_set_state(&p->process, IPC_DRAINING);
    while (!p->now && clock_ms() < until) {
        host_drain(&p->host);
        if (host_is_done(&p->host))
            break;
        wait_once(p, (int)(until - clock_ms()));
    }
    host_stop(&p->host);
    while (!p->now && !mailbox_outbox_empty(&p->host.mail) && clock_ms() < until) {
        loop_wait(&p->process.loop, 1);
        react(&p->process.loop);
        mailbox_drain(&p->host.mail, 0, 0);
    }
}

int primary_run(const struct heritage *h)
{
    struct primary_self p = {.process = {.on_signal = on_signal, .on_orphaned = on_orphaned}};
    bool good, worked;

    process_init(&p.process, h, "primary");
    good = start(&p);
    if (good) {
        live(&p);
        end(&p);
    }
    worked = !p.host.conf || host_end_work(&p.host);
    if (p.host.conf)
        host_close(&p.host);
    process_close(&p.process);
    if (!worked) /* a thread still uses what exit would free */
        _exit(good ? 0 : 1);
    return good ? 0 : 1;
}
