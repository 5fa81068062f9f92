#include "proc/launch.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "proc/code.h"
#include "proc/rollout.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MS 2000 /* for old workers to hear that they are to drain */
#define UNDONE_MS 2000 /* for workers that have served nobody */

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

bool launch_begin(struct master *m)
{
    struct rollout *r = &m->rollout;
    int rc;

    r->next = make_next(m);
    if (!r->next)
        return false;
    r->state = ROLLOUT_CANARY;
    m->generations++;
    succession_hold(m);
    rollout_say(m, "the settings are good; starting the first new worker");
    timer_set(&m->loop.timers, &r->limit, GENERATION_START_MS);
    rc = generation_spawn(r->next, generation_next(r->next, NULL));
    if (rc < 0)
        cannot_fork(m, rc);
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

void launch_look(struct master *m)
{
    if (m->rollout.state == ROLLOUT_SETTLING && master_old_accepting(m) == 0)
        say_done(m);
}

static void commit(struct master *m)
{
    struct rollout *r = &m->rollout;
    struct generation *g = r->next;

    r->next = NULL;
    r->state = ROLLOUT_SETTLING;
    timer_set(&m->loop.timers, &r->limit, SETTLE_MS);
    master_switch(m, g);
    launch_look(m);
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
        launch_judged(m, text);
    }
}

bool launch_is_opening(const struct master *m)
{
    return m->rollout.state == ROLLOUT_OPENING;
}

void launch_open(struct master *m)
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
    rollout_go_on(m);
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

void launch_judged(struct master *m, const char *why)
{
    bool opening = launch_is_opening(m);

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

bool launch_died(struct master *m, const struct worker *w, const char *how)
{
    struct rollout *r = &m->rollout;
    struct buf why = {0};

    if (w->generation != r->next && !(launch_is_opening(m) && r->debut.worker == w))
        return false;
    buf_printf(&why, "a worker of the new settings %s %s", how,
               w->ready ? "soon after its start"
                        : "before it was ready; the error log may say why");
    debut_died(m, w, &why);
    launch_judged(m, why.p);
    buf_free(&why);
    return true;
}

void launch_ready(struct master *m, struct worker *w)
{
    struct rollout *r = &m->rollout;
    bool is_first = r->state == ROLLOUT_CANARY && w->generation == r->next;
    bool opens = r->state == ROLLOUT_OPENING && !r->debut.worker && m->stop == STOP_NOT;

    if (is_first || opens)
        ask(m, w);
    else if (w->generation == r->next)
        look_at_ready(m);
}

void launch_late(struct master *m)
{
    struct generation *g = m->rollout.next;
    char why[160];

    if (m->rollout.state == ROLLOUT_CANARY) {
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

void launch_cancel(struct master *m, const char *why)
{
    struct rollout *r = &m->rollout;

    if (r->state == ROLLOUT_STARTING || r->state == ROLLOUT_CANARY) {
        roll_back(m, why);
    } else if (r->state == ROLLOUT_OPENING) {
        debut_cancel(m);
        r->state = ROLLOUT_IDLE;
    } else if (r->state == ROLLOUT_SETTLING) {
        say_done(m);
    }
}
