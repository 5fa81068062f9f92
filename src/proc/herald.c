/* herald.c - tells the service manager how the server is. What it says follows from what the master is, looked at before
 * each wait: so no path through a reload or an end can forget to say it, and what the manager's queue had no room for is
 * said again.
 *
 *     (start) --a worker is ready: READY--> serving <--RELOADING / READY--> reloading --STOPPING--> (end)
 *
 * READY comes after a reload that failed, too: the server serves, with the old settings. */
#include "base/clock.h"
#include "base/log.h"
#include "ipc/board.h"
#include "os/notify.h"
#include "proc/master.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS   1000
#define AGAIN_MS  50   /* after a full queue */
#define EXTEND_MS 5000 /* so often the manager is asked for more time to stop ... */
#define GRANT_US  15000000

/* False: it has to be said again. */
static bool said(struct master *m, int rc)
{
    if (rc == -EAGAIN || rc == -ENOBUFS) {
        timer_set(&m->loop.timers, &m->herald.tick, AGAIN_MS);
        return false;
    }
    if (rc < 0 && !m->herald.failed)
        log_warn("cannot tell systemd what happens: %s", strerror(-rc));
    m->herald.failed = rc < 0;
    return true;
}

/* ---- The sentence ---- */

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

static unsigned count_draining(struct master *m)
{
    unsigned n = 0;

    LIST_EACH(node, &m->draining)
    n += generation_count(CONTAINER_OF(node, struct generation, node));
    return n;
}

static void say_stop(struct master *m, struct buf *out)
{
    unsigned n = generation_connections(m->live);

    LIST_EACH(node, &m->draining)
    n += generation_connections(CONTAINER_OF(node, struct generation, node));
    buf_printf(out, "stopping%s: %u connection%s", m->stop == STOP_NOW ? " now" : "", n, plural(n));
    if (m->stop == STOP_WAIT)
        buf_add_z(out, ", without a deadline");
}

static void say_serving(struct master *m, struct buf *out)
{
    const struct generation *g = m->live;
    unsigned ready = generation_ready(g), draining = count_draining(m);

    if (m->workers_fail)
        buf_add_z(out, "degraded, new workers fail: ");
    else if (m->primary_fails)
        buf_add_z(out, "degraded, the primary fails: ");
    if (m->paused)
        buf_printf(out, "paused: no workers since SIGWINCH, SIGHUP starts them");
    else
        buf_printf(out, "generation %u, %u of %u worker%s ready", (unsigned)g->number, ready,
                   g->wanted, plural(g->wanted));
    if (draining)
        buf_printf(out, "; %u of older settings drain%s", draining, draining == 1 ? "s" : "");
}

static void say_modules(const struct master *m, struct buf *out)
{
    const struct ipc_module *module;

    for (unsigned i = 1; (module = board_module(&m->region, i)); i++)
        if (board_is_quarantined(&m->region, module))
            buf_printf(out, "; the module %s is in quarantine", module->name);
}

static void say_reload(const struct master *m, struct buf *out)
{
    const struct rollout *r = &m->rollout;

    if (r->state != ROLLOUT_IDLE)
        buf_add_z(out, "; a reload is under way");
    else if (r->any && !r->ok)
        buf_printf(out, "; the last reload failed: %s", r->message);
}

static void sentence(struct master *m, struct buf *out)
{
    if (m->stop) {
        say_stop(m, out);
    } else if (!m->serving) {
        buf_printf(out, "%sstarting %u worker%s", m->workers_fail ? "degraded, they fail: " : "",
                   m->live->wanted, plural(m->live->wanted));
    } else {
        say_serving(m, out);
        say_modules(m, out);
        say_reload(m, out);
    }
}

static void tell_status(struct master *m)
{
    struct buf now = {0};

    sentence(m, &now);
    if (strncmp(m->herald.status, now.p, sizeof m->herald.status - 1) != 0 &&
        said(m, notify_status(now.p)))
        snprintf(m->herald.status, sizeof m->herald.status, "%s", now.p);
    buf_free(&now);
}

/* ---- States ---- */

static bool tell_ready(struct master *m)
{
    bool done = said(m, notify_send("READY=1"));

    if (done)
        tell_status(m);
    return done;
}

static bool tell_reloading(struct master *m)
{
    /* From 253 on systemd compares it with when it asked. */
    bool done = said(
        m, notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_us_now()));

    if (done)
        tell_status(m);
    return done;
}

static void look_at_reload(struct master *m)
{
    struct herald *h = &m->herald;
    uint64_t ended =
        atomic_load(&m->region.header->reloads) + atomic_load(&m->region.header->reloads_failed);

    if (ended != h->rollouts) {
        /* One may have begun and ended unseen. */
        h->reloading = h->reloading || tell_reloading(m);
        if (!h->reloading || !tell_ready(m))
            return;
        h->reloading = false;
        h->rollouts = ended;
    }
    if (m->rollout.state != ROLLOUT_IDLE && !h->reloading)
        h->reloading = tell_reloading(m);
}

/* The manager's own limit may be shorter than shutdown_timeout, and `-s quit` has none. Asked for again and again, so
 * that a master that hangs gets no more. */
static void look_at_stop(struct master *m)
{
    struct herald *h = &m->herald;

    if (h->extend_at && clock_ms() < h->extend_at)
        return;
    if (!said(m, notify_send("%sEXTEND_TIMEOUT_USEC=%d", h->extend_at ? "" : "STOPPING=1\n",
                             GRANT_US)))
        return;
    h->extend_at = clock_ms() + EXTEND_MS;
    tell_status(m);
}

void herald_look(struct master *m)
{
    struct herald *h = &m->herald;

    if (!h->open || !notify_wanted())
        return;
    if (m->stop)
        look_at_stop(m);
    else if (h->ready)
        look_at_reload(m);
    else if (m->serving)
        h->ready = tell_ready(m);
}

/* ---- Time ---- */

static void on_tick(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, herald.tick);

    if (!notify_wanted())
        return;
    timer_set(&m->loop.timers, t, TICK_MS);
    tell_status(m);
}

static void on_watchdog(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, herald.watchdog);
    uint64_t half_ms = notify_watchdog_us() / 2000;

    if (!notify_wanted())
        return;
    timer_set(&m->loop.timers, t, half_ms ? half_ms : 1);
    said(m, notify_send("WATCHDOG=1"));
}

void herald_open(struct master *m)
{
    struct herald *h = &m->herald;

    h->open = true;
    timer_init(&h->tick, on_tick);
    timer_init(&h->watchdog, on_watchdog);
    if (!notify_wanted())
        return;
    if (m->daemon)
        log_warn("systemd takes the process that it has started for the server: leave out -D");
    timer_set(&m->loop.timers, &h->tick, 0);
    if (notify_watchdog_us())
        on_watchdog(&h->watchdog);
}
