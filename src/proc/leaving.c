/* leaving.c - see leaving.h. */
#include "proc/leaving.h"

#include "base/log.h"
#include "config.h"
#include "os/notify.h"
#include "proc/master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MS    2000 /* for our workers to hear that they are to drain */
#define TELL_TRIES   100  /* systemd, and so long between them */
#define TELL_REST_MS 10

static void say_done(struct master *m)
{
    struct upgrade *u = &m->upgrade;

    u->settled = true;
    timer_clear(&m->loop.timers, &u->limit);
    upgrade_finish(m, 0,
                   "pid %d (cserver %s) has taken over from pid %d (cserver %s), which drains",
                   (int)u->newcomer.pid, u->version, (int)getpid(), CSERVER_VERSION);
}

void leaving_look(struct master *m)
{
    struct upgrade *u = &m->upgrade;

    if (u->state != UPGRADE_LEAVING)
        return;
    if (!u->settled && generation_accepting(m->live) + master_old_accepting(m) == 0)
        say_done(m);
    if (!u->settled || m->primary.pid != 0)
        return;
    u->state = UPGRADE_LEFT;
    newcomer_tell(&u->newcomer, "left");
}

void leaving_hangup(struct master *m)
{
    const struct upgrade *u = &m->upgrade;

    if (!upgrade_has_left(m) || u->newcomer.pid == 0)
        return;
    log_info("reload: the new master (pid %d) is told", (int)u->newcomer.pid);
    kill(u->newcomer.pid, SIGHUP);
}

void leaving_reopened(struct master *m)
{
    if (upgrade_has_left(m))
        newcomer_tell(&m->upgrade.newcomer, "reopened");
}

/* It is heard by systemd from then on, and we are not. Its queue may be full for a moment. */
static void make_main(const struct upgrade *u)
{
    int rc = notify_send("MAINPID=%d", (int)u->newcomer.pid);

    for (int i = 0; i < TELL_TRIES && (rc == -EAGAIN || rc == -ENOBUFS); i++) {
        poll(NULL, 0, TELL_REST_MS);
        rc = notify_send("MAINPID=%d", (int)u->newcomer.pid);
    }
    if (rc < 0)
        log_error("cannot tell systemd that pid %d is the main process of the service: %s",
                  (int)u->newcomer.pid, strerror(-rc));
    notify_close();
    newcomer_tell(&u->newcomer, "main");
}

/* From here on control socket, pid file and sockets belong to the other. */
void leaving_begin(struct master *m)
{
    struct upgrade *u = &m->upgrade;
    struct listen_set *set = &m->live->listens;
    bool again = m->rollout.again;

    u->state = UPGRADE_LEAVING;
    for (size_t i = 0; i < set->n; i++)
        set->v[i].file = false;
    timer_clear(&m->loop.timers, &m->pid_again); /* the file is the other's, too */
    timer_set(&m->loop.timers, &u->limit, SETTLE_MS);
    make_main(u);
    tail_end(m); /* there will be nothing to see here */
    master_leave(m);
    if (again)
        leaving_hangup(m); /* it may have read its settings before that was asked */
    leaving_look(m);
}

void leaving_late(struct master *m)
{
    log_warn("a worker does not react; it may still take connections");
    say_done(m);
    leaving_look(m);
}
