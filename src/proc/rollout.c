/* rollout.c - new settings go live, or do not, one request at a time:
 *
 *   IDLE -> PROBING   a child tries the settings                      refused: 78
 *        -> TUNING    only run-time settings have changed: the running workers take them (tune.h)    done: 0, or 75
 *     or -> CLEARING  at most one generation may still be draining    (the oldest has to hurry)
 *        -> CANARY    one worker is forked, and asked (debut.h)       rolled back: 70
 *        -> STARTING  the others are forked; all must become READY    rolled back: 70
 *        -> SETTLING  the new ones are live, the old ones stop accepting
 *        -> IDLE      the old generation drains                       done: 0
 *
 * Until SETTLING nothing of the running generation is touched. Who asked is answered after it: a connection made then
 * meets the new settings.
 *
 * A start with [reload] probe is OPENING, and then IDLE: a worker of the first settings is asked too, and until its
 * answers are good no connection is accepted. If they are not, the start fails. There is nothing to go back to, but a
 * start that is said to be good must mean the same as a reload that is: supervisors, `-D` and those who deploy rely on
 * one answer. */
#include "proc/rollout.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/tune.h"
#include "proc/code.h"
#include "proc/compare.h"
#include "proc/launch.h"
#include "proc/leaving.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void begin(struct master *m);

void rollout_say(struct master *m, const char *step)
{
    log_info("%s: %s", launch_is_opening(m) ? "start" : "reload", step);
    takeover_say(m, step);
    LIST_EACH(node, &m->rollout.calls)
    control_progress(CONTAINER_OF(node, struct control_call, node), step);
}

static void log_result(const struct master *m, int code, const char *message, cs_str report)
{
    if (code == 0)
        log_info("reload: %s", message);
    else if (code == CODE_REFUSED && report.n > 0)
        log_error("reload refused; generation %u goes on with the old settings:",
                  (unsigned)m->live->number);
    else
        log_error("reload failed: %s", message);
    log_lines(code == 0 ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, report);
}

static void remember(struct master *m, int code, const char *message)
{
    struct rollout *r = &m->rollout;

    r->any = true;
    r->ok = code == 0;
    r->code = code;
    r->at_wall_us = clock_wall_us();
    snprintf(r->message, sizeof r->message, "%s", message);
    atomic_store(&m->region.header->reload_failed, !r->ok);
    atomic_store(&m->region.header->reload_wall_us, r->at_wall_us);
    if (r->ok)
        atomic_fetch_add(&m->region.header->reloads, 1);
    else
        atomic_fetch_add(&m->region.header->reloads_failed, 1);
}

static void answer(struct master *m, struct control_call *call, int code, const char *message,
                   cs_str report)
{
    if (code == 0)
        drained_answer(m, call, message, report);
    else
        command_answer(m, call, code, message, report);
}

/* Everybody who asked gets the answer, and the next one in the queue begins. */
void rollout_finish(struct master *m, int code, const char *message, cs_str report)
{
    struct rollout *r = &m->rollout;
    struct list *node;

    log_result(m, code, message, report);
    remember(m, code, message);
    timer_clear(&m->loop.timers, &r->limit);
    r->state = ROLLOUT_IDLE;
    settings_free(r->settings, NULL);
    r->settings = NULL;
    while ((node = list_first(&r->calls))) {
        list_remove(node);
        answer(m, CONTAINER_OF(node, struct control_call, node), code, message, report);
    }
    probe_free(&r->probe);
    r->probe = (struct probe){.fd = -1};
    rollout_go_on(m);
}

void rollout_go_on(struct master *m)
{
    struct rollout *r = &m->rollout;

    if (m->stop == STOP_NOT && (r->again || !list_empty(&r->waiting)))
        begin(m);
}

static void refuse(struct master *m)
{
    struct buf text = {0}, line = {0};

    report_print(&m->rollout.settings->report, &text);
    report_summary(&m->rollout.settings->report, &line);
    rollout_finish(m, CODE_REFUSED, line.n ? line.p : "the settings are not good", buf_str(&text));
    buf_free(&text);
    buf_free(&line);
}

static void clear_the_way(struct master *m)
{
    enum room room = room_make(m);

    m->rollout.state = ROLLOUT_CLEARING;
    if (room == ROOM_MADE && !launch_begin(m))
        refuse(m);
    else if (room == ROOM_NEVER)
        rollout_finish(m, CODE_FAILED,
                       "there is no room for so many more workers; restart with a larger "
                       "max_workers",
                       CS_S(""));
}

void rollout_look(struct master *m)
{
    if (m->rollout.state == ROLLOUT_CLEARING)
        clear_the_way(m);
    else
        launch_look(m);
}

/* ---- Probing ---- */

static void on_pipe(struct loop_io *io, uint32_t events)
{
    struct master *m = CONTAINER_OF(io, struct master, rollout.io);

    (void)events;
    if (!probe_read(&m->rollout.probe))
        loop_del(&m->loop, io);
}

static void on_limit(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, rollout.limit);

    if (m->rollout.state == ROLLOUT_PROBING)
        probe_kill(&m->rollout.probe);
    else if (m->rollout.state == ROLLOUT_TUNING)
        retune_look(m);
    else
        launch_late(m);
}

static void probe_shed(void *master)
{
    master_shed(master, NULL);
}

static void begin(struct master *m)
{
    struct rollout *r = &m->rollout;
    struct list *node;
    struct probe_ask ask = {.owned = {.set = &m->live->listens, .inherited = &m->inherited},
                            .reload = true,
                            .max_workers = m->region.header->max_workers,
                            .in_child = probe_shed,
                            .arg = m};
    struct buf step = {0};
    int rc;

    r->again = false;
    r->anew = r->fresh;
    r->fresh = false;
    r->hurried = 0;
    while ((node = list_first(&r->waiting))) {
        list_remove(node);
        list_add_tail(&r->calls, node);
    }
    r->state = ROLLOUT_PROBING;
    buf_printf(&step, "reading and trying the settings of %s", m->source.path);
    rollout_say(m, step.p);
    buf_free(&step);
    r->settings = settings_read(&m->source);
    rc = probe_begin(&r->probe, r->settings, &ask);
    if (rc < 0) {
        report_error(&r->settings->report, NULL, 1, "cannot start the process that tries them: %s",
                     strerror(-rc));
        refuse(m);
        return;
    }
    r->io = (struct loop_io){.fd = r->probe.fd, .on_ready = on_pipe};
    check(loop_set(&m->loop, &r->io, EPOLLIN) == 0);
    timer_set(&m->loop.timers, &r->limit, PROBE_LIMIT_MS);
}

/* What the probe has found good, the master does itself, on the same bytes. */
static void take_over(struct master *m)
{
    struct settings *s = m->rollout.settings;
    struct conf_diff d;

    if (!settings_bind(s, NULL)) {
        refuse(m);
        return;
    }
    conf_diff_init(&d);
    settings_compare(m->live->settings, s, &d);
    m->rollout.put_off = d.needs[CONF_NEED_RESTART];
    retune_tell(m, &d);
    if (!retune_begin(m, &d)) {
        conf_tune_keep(s->conf, m->live->settings->conf);
        if (settings_plan(s, &m->region, NULL))
            clear_the_way(m);
        else
            refuse(m);
    }
    conf_diff_free(&d);
}

bool rollout_reaped(struct master *m, pid_t pid, int status)
{
    struct rollout *r = &m->rollout;

    if (debut_reaped(m, pid, status))
        return true;
    if (r->state != ROLLOUT_PROBING || pid != r->probe.pid)
        return false;
    timer_clear(&m->loop.timers, &r->limit);
    if (r->io.on_ready)
        loop_del(&m->loop, &r->io);
    probe_end(&r->probe, status);
    if (r->probe.good)
        take_over(m);
    else
        rollout_finish(m, CODE_REFUSED,
                       r->probe.summary.n ? r->probe.summary.p : "the settings are bad",
                       buf_str(&r->probe.text));
    return true;
}

/* A signal is not lost: whoever serves after it reloads. */
static void wait_for_upgrade(struct master *m, struct control_call *call)
{
    if (call) {
        command_answer(m, call, CODE_FAILED,
                       "an upgrade is under way; ask for the reload when it is over", CS_S(""));
        return;
    }
    log_info("reload: an upgrade is under way; this comes next");
    m->rollout.again = true;
}

void rollout_request(struct master *m, struct control_call *call)
{
    struct rollout *r = &m->rollout;

    if (m->stop) {
        if (!call)
            leaving_hangup(m);
        else
            command_answer(m, call, CODE_FAILED,
                           upgrade_has_left(m) ? "another program has taken over; ask again"
                                               : "the server is stopping",
                           CS_S(""));
        return;
    }
    if (upgrade_is_under_way(m) || m->takeover.pending) {
        wait_for_upgrade(m, call);
        return;
    }
    if (call)
        list_add_tail(&r->waiting, &call->node);
    else
        r->again = true;
    r->fresh |= call && call->fresh;
    if (r->state == ROLLOUT_IDLE)
        begin(m);
    else if (call)
        control_progress(call, launch_is_opening(m)
                                   ? "the start is under way; this comes next"
                                   : "another reload is under way; this one comes next");
}

void rollout_cancel(struct master *m, const char *why)
{
    struct rollout *r = &m->rollout;
    struct list *node;

    while ((node = list_first(&r->waiting))) {
        list_remove(node);
        command_answer(m, CONTAINER_OF(node, struct control_call, node), CODE_FAILED, why,
                       CS_S(""));
    }
    r->again = false;
    launch_cancel(m, why);
    if (r->state == ROLLOUT_TUNING) {
        retune_cancel(m);
    } else if (r->state != ROLLOUT_IDLE) {
        if (r->io.on_ready)
            loop_del(&m->loop, &r->io);
        if (r->probe.pid > 0)
            probe_kill(&r->probe);
        rollout_finish(m, CODE_FAILED, why, CS_S(""));
    }
}

void rollout_init(struct master *m)
{
    struct rollout *r = &m->rollout;

    list_init(&r->calls);
    list_init(&r->waiting);
    r->probe = (struct probe){.fd = -1};
    timer_init(&r->limit, on_limit);
    debut_init(m);
}
