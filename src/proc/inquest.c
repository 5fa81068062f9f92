#include "proc/inquest.h"

#include "base/clock.h"
#include "ipc/doorbell.h"
#include "module/crumb.h"
#include "os/child.h"
#include "proc/master.h"
#include "proc/quarantine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* ---- What is said ---- */

static const struct ipc_module *module_of(const struct region *r, uint32_t where)
{
    return &r->modules[where >> 8 < IPC_MODULES ? where >> 8 : 0];
}

static void say_end(struct inquest *q, const struct region *r, int slot, pid_t pid, int status)
{
    char end[48];
    struct note t = note_on(q->how, sizeof q->how);

    child_end_text(status, end, sizeof end);
    snprintf(q->short_how, sizeof q->short_how, "%s%s", WIFEXITED(status) ? "" : "was ", end);
    if (q->refused && WIFEXITED(status))
        snprintf(q->short_how, sizeof q->short_how, "%s: %s of the module \"%s\" failed", end,
                 crumb_hook_name((enum crumb_hook)(q->refused & 0xff)),
                 module_of(r, q->refused)->name);
    note_add(&t, "(pid ");
    note_add_number(&t, (uint64_t)pid);
    if (slot >= IPC_SLOT_WORKERS && whereabouts_in_module(&q->at)) {
        note_add(&t, ", generation ");
        note_add_number(&t, q->generation);
    }
    note_add(&t, ") ");
    note_add(&t, q->short_how);
    if (whereabouts_in_module(&q->at))
        whereabouts_say(&q->at, &t);
    if (whereabouts_in_module(&q->at) && WIFEXITED(status))
        note_add(&t, ", which called exit");
    whereabouts_say_place(&q->at, &t);
    int lost = atomic_load(&region_slot(r, slot)->active);
    if (lost > 0) {
        note_add(&t, "; ");
        note_add_number(&t, (uint64_t)lost);
        note_add(&t, lost == 1 ? " connection lost" : " connections lost");
    }
}

void inquest_open(struct inquest *q, const struct region *r, int slot, pid_t pid, int status)
{
    const struct ipc_slot *s = region_slot(r, slot);
    bool in_module;

    *q = (struct inquest){.generation = atomic_load(&s->generation)};
    whereabouts_read(&q->at, r, &s->crumb);
    q->refused = atomic_load(&s->crumb.refused);
    in_module = whereabouts_in_module(&q->at);
    q->by_module = in_module && quarantine_is_fault(status, q->at.signal != 0);
    q->wrong = q->by_module || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    say_end(q, r, slot, pid, status);
}

static bool is_start(unsigned hook)
{
    return hook == CRUMB_WORKER_START || hook == CRUMB_PRIMARY_START;
}

void inquest_place(struct inquest *q, const struct conf *conf)
{
    unsigned number = q->refused ? q->refused >> 8 : is_start(q->at.hook) ? q->at.module : 0;
    size_t n = strlen(q->how);

    for (size_t i = 0; conf && number > 0 && i < conf->nmodules; i++) {
        const struct conf_origin *at = &conf->modules[i].head.at;

        if (conf->modules[i].number == number && at->file)
            snprintf(q->how + n, sizeof q->how - n, " (%s:%d)", at->file, at->line);
    }
}

void inquest_log(const struct inquest *q, const char *fmt, ...)
{
    struct log_pair pairs[WHEREABOUTS_PAIRS];
    size_t n = whereabouts_pairs(&q->at, pairs);
    va_list ap;

    va_start(ap, fmt);
    log_write_with(q->by_module ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, pairs, n, fmt, ap);
    va_end(ap);
}

/* ---- What follows ---- */

static void put_into_quarantine(struct master *m, struct ipc_module *module)
{
    const struct conf_server *conf = &m->live->settings->conf->server;

    atomic_store(&module->quarantined, m->live->number);
    master_judge(m);
    doorbell_all(&m->region, IPC_SLOT_MASTER); /* streams of the module end */
    log_error(
        "the module \"%s\" %s is in quarantine after %u crashes within %u s: its requests are "
        "answered with 503, its hooks, timers and messages are left out; repair it, and "
        "`cserver -s reload` (any reload that succeeds) calls it again",
        module->name, module->version, (unsigned)conf->quarantine,
        (unsigned)(conf->quarantine_window / 1000));
    keeper_hurry(m);
    succession_switch(m);
}

/* Those that drain, and those that are being started, say nothing of the settings that are live. */
void inquest_judge(struct master *m, const struct inquest *q)
{
    const struct conf_server *conf = &m->live->settings->conf->server;
    struct ipc_module *module = &m->region.modules[q->at.module < IPC_MODULES ? q->at.module : 0];

    if (!q->by_module || module == m->region.modules)
        return;
    if (q->generation != m->live->number)
        atomic_fetch_add(&module->crashes, 1);
    else if (quarantine_count(module, clock_ms(), (unsigned)conf->quarantine,
                              (uint64_t)conf->quarantine_window) &&
             atomic_load(&module->quarantined) < m->live->number && !m->stop)
        put_into_quarantine(m, module);
}

/* Those between have not gone live. */
void inquest_switch(struct master *m, uint32_t before)
{
    for (unsigned i = 1; i < IPC_MODULES; i++) {
        struct ipc_module *module = &m->region.modules[i];
        uint32_t until = atomic_load(&module->quarantined);

        quarantine_forget(module);
        if (until > 0 && until == before)
            log_info("the module \"%s\" is no longer in quarantine", module->name);
    }
    master_judge(m);
}
