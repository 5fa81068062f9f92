/* reopen.c - after a rotation: the master opens the log files again and passes them to every
 * worker, draining ones too, since each generation has its own paths, and to the primary. Answers when all have taken
 * them. */
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/fdpass.h"
#include "proc/code.h"
#include "proc/leaving.h"
#include "proc/master.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MS 10000
#define WATCH_MS 4000

static void complain(struct master *m, const char *what, const char *path, int error)
{
    char *why = mem_printf("%s %s: %s", what, path, logs_reason(error));

    if (!m->reopen.quiet)
        log_error("%s", why);
    if (!m->reopen.error[0])
        snprintf(m->reopen.error, sizeof m->reopen.error, "%s", why);
    free(why);
}

/* The number under which the process has to acknowledge it, or before which it ends; 0: it could not be sent. */
static uint32_t pass(struct master *m, int sock, struct fdpass_msg msg, int fd, const char *to)
{
    int rc;

    msg.serial = ++m->crew.serial;
    rc = fdpass_send(sock, &msg, fd);
    if (rc == 0 || rc == -EPIPE || rc == -ECONNRESET) /* it has closed its end: it is ending */
        return msg.serial;
    complain(m, "cannot pass the new log to", to, rc);
    return 0;
}

static void pass_to_worker(struct master *m, struct worker *w, struct fdpass_msg msg, int fd)
{
    char name[32];
    uint32_t serial;

    snprintf(name, sizeof name, "worker %d", worker_number(w));
    serial = pass(m, w->pass, msg, fd, name);
    if (serial)
        w->reopen = serial;
}

static void pass_all(struct master *m, struct worker *w, const struct logs *l)
{
    if (l->error_path)
        pass_to_worker(m, w, (struct fdpass_msg){.kind = FDPASS_ERROR_LOG}, l->error_fd);
    for (uint32_t i = 0; i < l->naccess; i++)
        if (l->access[i].path)
            pass_to_worker(m, w, (struct fdpass_msg){.kind = FDPASS_ACCESS_LOG, .index = i},
                           l->access[i].fd);
}

/* One that is about to end may not take it any more: then its end counts. */
static void pass_to_primary(struct master *m, const struct generation *g)
{
    struct primary *p = &m->primary;
    uint32_t serial;

    if (p->pid <= 0 || p->generation != g->number || !g->logs.error_path)
        return;
    serial = pass(m, p->pass, (struct fdpass_msg){.kind = FDPASS_ERROR_LOG}, g->logs.error_fd,
                  "the primary");
    if (serial)
        p->reopen = serial;
}

static void reopen_of(struct master *m, struct generation *g)
{
    const char *path = "";
    int rc = logs_reopen(&g->logs, &path);

    if (rc < 0) {
        complain(m, "the old logs stay in use: cannot open", path, rc);
        return;
    }
    if (g->settings && g->settings->plan)
        logs_fill(&g->logs, g->settings->plan);
    if (g == m->live)
        logs_use(&g->logs);
    for (struct worker *w = generation_next(g, NULL); w; w = generation_next(g, w))
        if (w->pid > 0)
            pass_all(m, w, &g->logs);
    pass_to_primary(m, g);
}

static void finish(struct master *m, int code, const char *message)
{
    struct list *node;

    timer_clear(&m->loop.timers, &m->reopen.limit);
    while ((node = list_first(&m->reopen.calls))) {
        list_remove(node);
        command_answer(m, CONTAINER_OF(node, struct control_call, node), code, message, CS_S(""));
    }
    m->reopen.error[0] = '\0';
    leaving_reopened(m);
}

static bool has_taken(const struct master *m, int slot, uint32_t serial)
{
    uint32_t done = atomic_load(&region_slot(&m->region, slot)->reopened);

    return (int32_t)(done - serial) >= 0;
}

/* Workers that have not taken what was sent to them, perhaps the primary, a server before this one that drains, and a probe, which takes nothing: it ends. */
static unsigned count_missing(struct master *m)
{
    struct primary *p = &m->primary;
    unsigned n = m->reopen.probe > 0 && m->rollout.probe.pid == m->reopen.probe;

    for (unsigned i = 0; i < m->crew.nworkers; i++) {
        struct worker *w = &m->crew.workers[i];

        if (w->reopen && (w->pid <= 0 || has_taken(m, w->slot, w->reopen)))
            w->reopen = 0;
        n += w->reopen != 0;
    }
    if (p->reopen && (p->pid <= 0 || has_taken(m, IPC_SLOT_PRIMARY_A, p->reopen)))
        p->reopen = 0;
    return n + (p->reopen != 0) + m->takeover.asked;
}

void reopen_look(struct master *m)
{
    if (!timer_is_set(&m->reopen.limit) || count_missing(m) > 0)
        return;
    if (m->reopen.error[0]) {
        finish(m, CODE_FAILED, m->reopen.error);
        return;
    }
    log_info("the logs have been opened again");
    finish(m, 0, "the logs have been opened again");
}

static void on_limit(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, reopen.limit);
    unsigned n = count_missing(m);
    char message[128];

    snprintf(message, sizeof message, "%u process%s not taken the new logs after %d s", n,
             n == 1 ? " has" : "es have", LIMIT_MS / 1000);
    log_error("reopen: %s", message);
    finish(m, CODE_LATE, message);
}

void reopen_request(struct master *m, struct control_call *call)
{
    if (call)
        list_add_tail(&m->reopen.calls, &call->node);
    m->reopen.probe = m->rollout.probe.pid;
    reopen_of(m, m->live);
    if (m->rollout.next)
        reopen_of(m, m->rollout.next);
    LIST_EACH(node, &m->draining)
    reopen_of(m, CONTAINER_OF(node, struct generation, node));
    upgrade_reopen(m);
    takeover_reopen(m);
    timer_set(&m->loop.timers, &m->reopen.limit, LIMIT_MS);
    reopen_look(m);
}

static const char *find_astray(const struct master *m)
{
    const char *path = logs_astray(&m->live->logs);

    if (!path && m->rollout.next)
        path = logs_astray(&m->rollout.next->logs);
    LIST_EACH(node, &m->draining)
    path = path ? path : logs_astray(&CONTAINER_OF(node, struct generation, node)->logs);
    return path;
}

/* Said afterwards, so that it stands in the new file; what cannot be opened is told of once. */
static void reopen_astray(struct master *m, const char *path)
{
    char *was = mem_strdup(path);

    reopen_request(m, NULL);
    path = find_astray(m);
    if (!path)
        log_warn("the log %s was not where it had been opened, and has been opened again; what "
                 "moves logs away should call `cserver -s reopen`",
                 was);
    else if (!m->reopen.quiet)
        log_warn("lines go to where %s was, until it can be opened again", path);
    m->reopen.quiet = path != NULL;
    free(was);
}

/* A rotation of which nobody has told: lines would go to the old file for ever. */
static void on_watch(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, reopen.watch);
    const char *path = find_astray(m);

    if (path && !timer_is_set(&m->reopen.limit))
        reopen_astray(m, path);
    timer_set(&m->loop.timers, &m->reopen.watch, WATCH_MS);
}

void reopen_init(struct master *m)
{
    list_init(&m->reopen.calls);
    timer_init(&m->reopen.limit, on_limit);
    timer_init(&m->reopen.watch, on_watch);
}

void reopen_watch(struct master *m)
{
    timer_set(&m->loop.timers, &m->reopen.watch, WATCH_MS);
}
