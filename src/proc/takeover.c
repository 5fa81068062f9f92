/* takeover.c - see takeover.h. */
#include "proc/takeover.h"

#include "base/check.h"
#include "base/log.h"
#include "config.h"
#include "ipc/turn.h"
#include "os/fd.h"
#include "os/notify.h"
#include "proc/handover.h"
#include "proc/master.h"
#include "proc/upgrade.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CODE_FAILED   1
#define STOP_EXTRA_MS 5000 /* after its own limits it kills what is left */

void takeover_init(struct master *m)
{
    struct takeover *t = &m->takeover;
    struct handover h;
    int rc = handover_take(&h);

    *t = (struct takeover){.errors = -1, .channel.fd = -1};
    if (rc == -ENOENT)
        return;
    if (rc < 0)
        fatal(CODE_FAILED, "what the running server hands over (" HANDOVER_ENV
                           ") cannot be understood: is it of another version?");
    *t = (struct takeover){.from = h.from,
                           .pending = true,
                           .errors = h.errors,
                           .channel.fd = h.channel,
                           .listens = h.listens};
    m->inherited = h.inherited;
}

unsigned takeover_width(const struct master *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->takeover.listens.n; i++)
        if (m->takeover.listens.v[i].nlistening > n)
            n = m->takeover.listens.v[i].nlistening;
    return (unsigned)n;
}

static void __attribute__((format(printf, 2, 3)))
tell(const struct takeover *t, const char *fmt, ...)
{
    char text[HANDOVER_MESSAGE];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof text)
        n = (int)sizeof text - 1;
    if (n > 0 && t->channel.fd >= 0 &&
        send(t->channel.fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("the server that started this one (pid %d) does not listen: %s", (int)t->from,
                  strerror(errno));
}

void takeover_begin(struct master *m)
{
    struct takeover *t = &m->takeover;

    if (!t->pending)
        return;
    if (dup2(t->errors, STDERR_FILENO) < 0)
        fatal(CODE_FAILED, "cannot take over the standard error: %s", strerror(errno));
    fd_close(&t->errors);
    tell(t, "progress the settings are good; pid %d starts its workers", (int)getpid());
}

void takeover_say(struct master *m, const char *step)
{
    if (m->takeover.pending)
        tell(&m->takeover, "progress pid %d: %s", (int)getpid(), step);
}

void takeover_fail(struct master *m, int code, const char *why)
{
    if (m->stop)
        return;
    log_error("cannot take over from pid %d: %s", (int)m->takeover.from, why);
    tell(&m->takeover, "failed %d %s", code, why);
    m->exit_code = code;
    master_stop(m, STOP_NOW);
}

/* ---- Taking over ---- */

/* Files of unix sockets are ours from now on; those of sockets that nobody asks for any more go. Not before the other has
 * left: until then it may still go on with them, and a socket whose file is gone cannot get it back. */
static void take_sockets(struct master *m)
{
    struct listen_set *ours = &m->live->listens, *theirs = &m->takeover.listens;

    if (theirs->n == 0)
        return;
    for (size_t i = 0; i < ours->n; i++)
        for (size_t k = 0; k < theirs->n; k++)
            if (ours->v[i].nfds && ours->v[i].fds[0] == theirs->v[k].fds[0])
                ours->v[i].file = theirs->v[k].file;
    listen_close(theirs, ours, true);
    listen_settle(ours);
}

static bool take_control(struct master *m)
{
    const char *path = m->live->settings->conf->server.control.p;
    int rc = control_take(&m->control, &m->loop, path, command_run, m);
    char why[4300];

    if (rc == 0)
        return true;
    snprintf(why, sizeof why, "cannot make the control socket %s: %s", path, strerror(-rc));
    takeover_fail(m, CODE_FAILED, why);
    return false;
}

static void look_anew(struct master *m)
{
    atomic_fetch_add(&m->region.turn->epoch, 1);
    turn_rescue(&m->region);
}

static void take_over(struct master *m)
{
    struct takeover *t = &m->takeover;

    if (!t->pending || m->stop || !take_control(m))
        return;
    t->pending = false;
    if (t->alone)
        take_sockets(m);
    atomic_store(&m->region.header->generation, m->live->number);
    look_anew(m);
    m->serving = m->announced = true;
    master_release(m, 0);
    log_info("took over from pid %d", (int)t->from);
    upgrade_arrived(m);
    announce_ready(m);
    tell(t, "done");
    if (m->rollout.again)
        rollout_request(m, NULL);
}

void takeover_ready(struct master *m)
{
    struct takeover *t = &m->takeover;

    if (t->ready || m->stop)
        return;
    t->ready = true;
    if (t->alone)
        take_over(m);
    else
        tell(t, "ready %s", CSERVER_VERSION);
}

/* What systemd takes for the server is this process from now on. */
static void be_main(struct master *m)
{
    if (!m->takeover.pending)
        take_sockets(m);
    if (m->herald.open)
        return;
    notify_hold(false);
    herald_open(m);
}

/* A wake-up of the kernel may have gone to a worker of its that did not accept, so ours look for themselves. */
static void be_alone(struct master *m)
{
    m->takeover.alone = true;
    be_main(m);
    look_anew(m);
}

/* Where it has died before its time there is nobody to wait for. */
static void on_gone(struct master *m)
{
    struct takeover *t = &m->takeover;

    loop_del(&m->loop, &t->channel);
    fd_close(&t->channel.fd);
    timer_clear(&m->loop.timers, &t->limit);
    if (!t->alone)
        be_alone(m);
    if (t->pending)
        log_warn("the server that started this one (pid %d) has gone", (int)t->from);
    else
        log_info("the server before (pid %d) has ended", (int)t->from);
    if (t->ready)
        take_over(m);
    t->asked = false;
    reopen_look(m);
}

/* The channel is open, so that process is there, and its pid is nobody else's. */
static void on_limit(struct timer *timer)
{
    struct master *m = CONTAINER_OF(timer, struct master, takeover.limit);

    log_warn("the server before (pid %d) does not end: killing it", (int)m->takeover.from);
    kill(m->takeover.from, SIGKILL);
}

bool takeover_drains(const struct master *m)
{
    return m->takeover.from != 0 && m->takeover.channel.fd >= 0 && !m->takeover.pending;
}

void takeover_stop(struct master *m, int how)
{
    uint64_t limit = (uint64_t)m->live->settings->conf->server.shutdown_timeout;

    if (!takeover_drains(m))
        return;
    tell(&m->takeover, "stop %d", how);
    if (how != STOP_WAIT)
        timer_set(&m->loop.timers, &m->takeover.limit,
                  (how == STOP_NOW ? 0 : limit) + STOP_EXTRA_MS);
}

void takeover_reopen(struct master *m)
{
    if (!takeover_drains(m))
        return;
    m->takeover.asked = true;
    tell(&m->takeover, "reopen");
}

void takeover_prepare(struct master *m)
{
    timer_init(&m->takeover.limit, on_limit);
}

static void on_word(struct master *m, cs_str word)
{
    if (str_is(word, "go")) {
        take_over(m);
    } else if (str_is(word, "main")) {
        be_main(m);
    } else if (str_is(word, "left")) {
        be_alone(m);
    } else if (str_is(word, "reopen")) {
        reopen_request(m, NULL);
    } else if (str_is(word, "reopened")) {
        m->takeover.asked = false;
        reopen_look(m);
    }
}

static void on_channel(struct loop_io *io, uint32_t events)
{
    struct master *m = CONTAINER_OF(io, struct master, takeover.channel);
    char text[HANDOVER_MESSAGE];
    ssize_t n = recv(io->fd, text, sizeof text, 0);

    (void)events;
    if (n > 0)
        on_word(m, (cs_str){text, (size_t)n});
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        on_gone(m);
}

void takeover_watch(struct master *m)
{
    struct takeover *t = &m->takeover;

    if (!t->pending)
        return;
    t->channel.on_ready = on_channel;
    if (loop_set(&m->loop, &t->channel, EPOLLIN) < 0)
        fatal(CODE_FAILED, "cannot set up the event loop");
}

bool takeover_shares(const struct master *m)
{
    return m->takeover.from != 0 && !m->takeover.alone;
}

void takeover_shed(struct master *m)
{
    fd_close(&m->takeover.channel.fd);
    fd_close(&m->takeover.errors);
}

/* Where nothing was taken over, the sockets are the other's, files and all. */
void takeover_free(struct master *m)
{
    struct takeover *t = &m->takeover;

    if (t->channel.fd >= 0)
        loop_del(&m->loop, &t->channel);
    fd_close(&t->channel.fd);
    timer_clear(&m->loop.timers, &t->limit);
    listen_close(&t->listens, NULL, false);
}
