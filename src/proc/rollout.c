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
#include "base/mem.h"
#include "conf/tune.h"
#include "os/fd.h"
#include "proc/code.h"
#include "proc/compare.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MS 2000 /* for old workers to hear that they are to drain */
#define UNDONE_MS 2000 /* for workers that have served nobody */

static void begin(struct master *m);
static void commit(struct master *m);

void rollout_say(struct master *m, const char *step)
{
    log_info("%s: %s", rollout_is_opening(m) ? "start" : "reload", step);
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
    if (m->stop == STOP_NOT && (r->again || !list_empty(&r->waiting)))
        begin(m);
}

/* ---- Starting ---- */

/* Nothing of the new generation has accepted anything yet. What is ready ends as any other worker does. */
static void roll_back(struct master *m, const char *why)
{
    struct generation *g = m->rollout.next;
    int64_t limit = m->live->settings->conf->server.drain_timeout;
    struct buf message = {0};

    debut_cancel(m);
    limit = limit > UNDONE_MS ? UNDONE_MS : limit;

    buf_add_z(&message, why);
    if (!m->stop)
        buf_printf(&message, "; generation %u goes on with the old settings",
                   (unsigned)m->live->number);
    m->rollout.next = NULL;
    g->undone = true;
    g->state = GENERATION_DRAINING;
    list_add_tail(&m->draining, &g->node);
    generation_drain(g, clock_ms() + (uint64_t)limit);
    for (struct worker *w = generation_next(g, NULL); w; w = generation_next(g, w))
        if (w->pid > 0 && !w->ready)
            kill(w->pid, SIGKILL);
    if (generation_count(g) == 0)
        generation_free(g, &m->live->listens);
    else
        generation_strip(g, &m->live->listens);
    rollout_finish(m, m->stop ? CODE_FAILED : CODE_ROLLED_BACK, message.p,
                   buf_str(&m->rollout.probe.text));
    buf_free(&message);
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

/* Opens what workers inherit. */
static struct generation *make_next(struct master *m)
{
    struct rollout *r = &m->rollout;
    struct listen_from from = {.old = &m->live->listens,
                               .inherited = &m->inherited,
                               .positions = m->region.header->max_workers};
    struct listen_set listens;
    struct logs logs;
    struct generation *g;

    if (!listen_open(&listens, r->settings, &from))
        return NULL;
    if (!logs_open(&logs, r->settings)) {
        logs_close(&logs);
        listen_close(&listens, &m->live->listens, true);
        return NULL;
    }
    g = generation_new(&m->crew, m->generations + 1, r->settings, &listens, &logs);
    check(g); /* there was room when we looked */
    r->settings = NULL;
    return g;
}

static void cannot_fork(struct master *m, int rc)
{
    char why[96];

    snprintf(why, sizeof why, "a new worker could not be forked (%s)", strerror(-rc));
    roll_back(m, why);
}

static void start_first(struct master *m)
{
    struct rollout *r = &m->rollout;
    int rc;

    r->next = make_next(m);
    if (!r->next) {
        refuse(m);
        return;
    }
    r->state = ROLLOUT_CANARY;
    m->generations++;
    succession_hold(m);
    rollout_say(m, "the settings are good; starting the first new worker");
    timer_set(&m->loop.timers, &r->limit, GENERATION_START_MS);
    rc = generation_spawn(r->next, generation_next(r->next, NULL));
    if (rc < 0)
        cannot_fork(m, rc);
}

static void look_at_ready(struct master *m)
{
    unsigned wanted = m->rollout.next->wanted;
    char text[96];

    if (generation_ready(m->rollout.next) < wanted)
        return;
    snprintf(text, sizeof text,
             wanted == 1 ? "%u new worker is ready" : "all %u new workers are ready", wanted);
    rollout_say(m, text);
    commit(m);
}

static void start_others(struct master *m)
{
    struct generation *g = m->rollout.next;
    unsigned more = g->wanted - generation_count(g);
    char text[96];
    int rc;

    m->rollout.state = ROLLOUT_STARTING;
    if (more > 0) {
        snprintf(text, sizeof text, "starting %u more worker%s", more, more == 1 ? "" : "s");
        rollout_say(m, text);
    }
    timer_set(&m->loop.timers, &m->rollout.limit, GENERATION_START_MS);
    rc = keeper_start(m, g);
    if (rc < 0)
        cannot_fork(m, rc);
    else
        look_at_ready(m);
}

/* ---- The first worker ---- */

static void ask(struct master *m, struct worker *w)
{
    size_t n = w->generation->settings->conf->reload.ntrials;
    char text[160];
    int rc;

    timer_clear(&m->loop.timers, &m->rollout.limit);
    snprintf(text, sizeof text, "worker %d (pid %d) is ready%s", worker_number(w), (int)w->pid,
             n > 0 ? "; asking it as [reload] probe says" : "");
    rollout_say(m, text);
    if (n == 0) {
        start_others(m);
        return;
    }
    rc = debut_begin(m, w);
    if (rc < 0) {
        snprintf(text, sizeof text, "the process that asks the first worker cannot be made: %s",
                 strerror(-rc));
        rollout_judged(m, text);
    }
}

bool rollout_is_opening(const struct master *m)
{
    return m->rollout.state == ROLLOUT_OPENING;
}

void rollout_open(struct master *m)
{
    m->rollout.state = ROLLOUT_OPENING;
}

static void opened(struct master *m)
{
    struct rollout *r = &m->rollout;

    rollout_say(m, "the first worker has answered as [reload] probe wants it");
    r->state = ROLLOUT_IDLE;
    if (!m->takeover.pending)
        master_open(m);
    keeper_look(m);
    if (m->takeover.pending)
        return;
    if (r->again || !list_empty(&r->waiting))
        begin(m);
}

static void do_not_open(struct master *m, const char *why)
{
    log_error("start failed: %s; the server ends without having served anybody (exit status %d)",
              why, CODE_ROLLED_BACK);
    if (log_fd() != STDERR_FILENO && !m->daemon)
        fprintf(stderr, "cserver: start failed: %s\n", why);
    m->exit_code = CODE_ROLLED_BACK;
    master_stop(m, STOP_NOW);
}

void rollout_judged(struct master *m, const char *why)
{
    bool opening = rollout_is_opening(m);

    if (why && opening && m->takeover.pending)
        takeover_fail(m, CODE_ROLLED_BACK, why);
    else if (why && opening)
        do_not_open(m, why);
    else if (why)
        roll_back(m, why);
    else if (opening)
        opened(m);
    else
        start_others(m);
}

static void clear_the_way(struct master *m)
{
    enum room room = room_make(m);

    m->rollout.state = ROLLOUT_CLEARING;
    if (room == ROOM_MADE)
        start_first(m);
    else if (room == ROOM_NEVER)
        rollout_finish(m, CODE_FAILED,
                       "there is no room for so many more workers; restart with a larger "
                       "max_workers",
                       CS_S(""));
}

bool rollout_died(struct master *m, const struct worker *w, const char *how)
{
    struct rollout *r = &m->rollout;
    struct buf why = {0};

    if (w->generation != r->next && !(rollout_is_opening(m) && r->debut.worker == w))
        return false;
    buf_printf(&why, "a worker of the new settings %s %s", how,
               w->ready ? "soon after its start"
                        : "before it was ready; the error log may say why");
    debut_died(m, w, &why);
    rollout_judged(m, why.p);
    buf_free(&why);
    return true;
}

static void say_done(struct master *m)
{
    unsigned n = m->rollout.hurried;
    char message[480], hurried[96] = "", put_off[ROLLOUT_PUT_OFF];

    if (n > 0)
        snprintf(hurried, sizeof hurried,
                 "; the oldest that drained had to end, %u connection%s got %d ms", n,
                 n == 1 ? "" : "s", ROOM_LAST_MS);
    snprintf(message, sizeof message, "generation %u is live with %u worker%s%s%s",
             (unsigned)m->live->number, m->live->wanted, m->live->wanted == 1 ? "" : "s", hurried,
             rollout_put_off(m, put_off));
    rollout_finish(m, 0, message, buf_str(&m->rollout.probe.text));
}

static void commit(struct master *m)
{
    struct rollout *r = &m->rollout;
    struct generation *g = r->next;

    r->next = NULL;
    r->state = ROLLOUT_SETTLING;
    timer_set(&m->loop.timers, &r->limit, SETTLE_MS);
    master_switch(m, g);
    rollout_look(m);
}

void rollout_look(struct master *m)
{
    if (m->rollout.state == ROLLOUT_CLEARING)
        clear_the_way(m);
    else if (m->rollout.state == ROLLOUT_SETTLING && master_old_accepting(m) == 0)
        say_done(m);
}

void rollout_ready(struct master *m, struct worker *w)
{
    struct rollout *r = &m->rollout;
    bool is_first = r->state == ROLLOUT_CANARY && w->generation == r->next;
    bool opens = r->state == ROLLOUT_OPENING && !r->debut.worker && m->stop == STOP_NOT;

    if (is_first || opens)
        ask(m, w);
    else if (w->generation == r->next)
        look_at_ready(m);
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
    struct generation *g = m->rollout.next;
    char why[160];

    if (m->rollout.state == ROLLOUT_PROBING) {
        probe_kill(&m->rollout.probe);
    } else if (m->rollout.state == ROLLOUT_TUNING) {
        retune_look(m);
    } else if (m->rollout.state == ROLLOUT_CANARY) {
        snprintf(why, sizeof why, "the first of %u new workers was not ready after %d s", g->wanted,
                 GENERATION_START_MS / 1000);
        roll_back(m, why);
    } else if (m->rollout.state == ROLLOUT_STARTING) {
        snprintf(why, sizeof why, "only %u of %u new workers were ready after %d s",
                 generation_ready(g), g->wanted, GENERATION_START_MS / 1000);
        roll_back(m, why);
    } else if (m->rollout.state == ROLLOUT_SETTLING) {
        log_warn("an old worker does not react; it may still take connections");
        say_done(m);
    }
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
            upgrade_hangup(m);
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
        control_progress(call, rollout_is_opening(m)
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
    if (r->state == ROLLOUT_STARTING || r->state == ROLLOUT_CANARY) {
        roll_back(m, why);
    } else if (r->state == ROLLOUT_TUNING) {
        retune_cancel(m);
    } else if (r->state == ROLLOUT_OPENING) {
        debut_cancel(m);
        r->state = ROLLOUT_IDLE;
    } else if (r->state == ROLLOUT_SETTLING) {
        say_done(m);
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
