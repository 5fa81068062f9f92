#include "proc/debut.h"

#include "base/check.h"
#include "base/log.h"
#include "os/child.h"
#include "os/fd.h"
#include "proc/launch.h"
#include "proc/master.h"
#include "proc/user.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A worker that dies closes its connections a moment before the master can hear of it, and how it died says more. */
#define LOST_MS 1000

bool debut_wanted(const struct generation *g)
{
    return g->settings->conf->reload.ntrials > 0;
}

/* ---- The child ---- */

static void shed_listens(const struct generation *g)
{
    static const struct listen_set none;

    if (g)
        listen_shed(&g->listens, &none);
}

/* It reads what modules write, so it has the rights of a worker and no more descriptors than it needs. */
static bool become(void *master)
{
    struct master *m = master;
    struct debut *d = &m->rollout.debut;
    const struct settings_user *user = &d->worker->generation->settings->user;
    int rc;

    master_shed(m, NULL);
    shed_listens(m->live);
    shed_listens(m->rollout.next);
    for (unsigned i = 0; i < m->crew.nworkers; i++)
        if (&m->crew.workers[i] != d->worker)
            fd_close(&m->crew.workers[i].pass);
    rc = user_become(user);
    if (rc < 0) {
        char *why = user_complaint(user, rc);

        log_error("%s", why);
        free(why);
    }
    return rc == 0;
}

/* ---- Verdicts ---- */

void debut_cancel(struct master *m)
{
    struct debut *d = &m->rollout.debut;

    loop_del(&m->loop, &d->io);
    timer_clear(&m->loop.timers, &d->limit);
    timer_clear(&m->loop.timers, &d->verdict);
    canary_free(&d->canary);
    d->worker = NULL;
}

static void judge(struct master *m, bool good)
{
    struct buf why = m->rollout.debut.canary.text;

    m->rollout.debut.canary.text = (struct buf){0};
    debut_cancel(m);
    launch_judged(m, good ? NULL : why.p);
    buf_free(&why);
}

static void on_verdict(struct timer *t)
{
    judge(CONTAINER_OF(t, struct master, rollout.debut.verdict), false);
}

static void on_limit(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, rollout.debut.limit);
    struct canary *c = &m->rollout.debut.canary;

    buf_clear(&c->text);
    buf_printf(&c->text, "the process that asks %s for ", m->rollout.debut.name);
    canary_say_request(c, &c->text);
    buf_add_z(&c->text, " hangs");
    judge(m, false);
}

bool debut_reaped(struct master *m, pid_t pid, int status)
{
    struct debut *d = &m->rollout.debut;

    if (!d->worker || pid != d->canary.pid)
        return false;
    timer_clear(&m->loop.timers, &d->limit);
    loop_del(&m->loop, &d->io);
    canary_end(&d->canary, status);
    if (!d->canary.good && d->canary.fault == CANARY_LOST)
        timer_set(&m->loop.timers, &d->verdict, LOST_MS);
    else
        judge(m, d->canary.good);
    return true;
}

void debut_died(struct master *m, const struct worker *w, struct buf *out)
{
    const struct debut *d = &m->rollout.debut;

    if (d->worker != w)
        return;
    buf_add_z(out, ", while it was asked for ");
    canary_say_request(&d->canary, out);
}

/* ---- Beginning ---- */

static void on_pipe(struct loop_io *io, uint32_t events)
{
    struct master *m = CONTAINER_OF(io, struct master, rollout.debut.io);

    (void)events;
    if (!canary_read(&m->rollout.debut.canary))
        loop_del(&m->loop, io);
}

static void on_line(void *master, const char *line)
{
    rollout_say(master, line);
}

int debut_begin(struct master *m, struct worker *w)
{
    struct debut *d = &m->rollout.debut;
    const struct conf_reload *reload = &w->generation->settings->conf->reload;
    struct canary_ask ask = {.reload = reload,
                             .pass = w->pass,
                             .worker = d->name,
                             .become = become,
                             .on_line = on_line,
                             .arg = m};
    int rc;

    d->worker = w;
    snprintf(d->name, sizeof d->name, "worker %d (pid %d)", worker_number(w), (int)w->pid);
    rc = canary_begin(&d->canary, &ask);
    if (rc < 0) {
        debut_cancel(m);
        return rc;
    }
    d->io = (struct loop_io){.fd = d->canary.fd, .on_ready = on_pipe};
    check(loop_set(&m->loop, &d->io, EPOLLIN) == 0);
    timer_set(&m->loop.timers, &d->limit, (uint64_t)canary_limit_ms(reload));
    return 0;
}

void debut_shed(struct master *m)
{
    fd_close(&m->rollout.debut.canary.fd);
}

void debut_init(struct master *m)
{
    struct debut *d = &m->rollout.debut;

    canary_init(&d->canary);
    d->io.fd = -1;
    timer_init(&d->limit, on_limit);
    timer_init(&d->verdict, on_verdict);
}
