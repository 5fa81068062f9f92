#include "module/host.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "module/counter.h"
#include "module/crumb.h"
#include "module/job.h"
#include "module/post.h"
#include "module/watch.h"
#include "module/zone.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGES 64 /* of one turn of the loop: then connections have theirs */
#define MAX_US       100
#define MAX_JOBS     1024 /* that wait for a thread */
#define WORK_MS      100  /* for those that run at the very end, after the time to drain */

/* Modules do not carry it around. Their threads look at it too, to log. */
static struct host *_Atomic here;

struct cs_proc {
    const struct conf_module *module;
};

struct cs_timer {
    struct timer timer;
    struct list node; /* in host.timers */
    unsigned module;  /* whose it is */
    cs_cb cb;
    void *arg;
    uint64_t every_ms; /* 0: once */
};

struct host *host_here(void)
{
    return here;
}

int host_number(int slot)
{
    if (slot == IPC_SLOT_MASTER)
        return CS_FROM_COMMAND;
    if (slot < 0)
        return CS_FROM_SERVER;
    return slot < IPC_SLOT_WORKERS ? 0 : region_worker(slot);
}

/* ---- What modules call ---- */

const cs_self_info *host_self(void)
{
    check(here != NULL);
    return &here->self;
}

const void *host_module_conf(cs_proc *p)
{
    return p->module->conf;
}

static const struct conf_module *module_of(const void *mod)
{
    const struct host *h = here;
    const struct conf *conf = h ? h->conf : NULL;
    for (size_t i = 0; conf && i < conf->nmodules; i++)
        if (conf->modules[i].desc && (const void *)conf->modules[i].desc->api == mod)
            return &conf->modules[i];
    return NULL;
}

const void *host_conf_of(const void *mod)
{
    const struct conf_module *m = module_of(mod);
    return m ? m->conf : NULL;
}

unsigned host_module_of(const cs_proc *p)
{
    return p->module->number;
}

const char *host_module_name(unsigned number)
{
    const struct host *h = here;
    for (size_t i = 0; h && number && i < h->conf->nmodules; i++)
        if (h->conf->modules[i].number == number)
            return h->conf->modules[i].head.label.p;
    return "?";
}

static const char *module_name(const void *mod)
{
    const struct conf_module *m = module_of(mod);
    return m ? m->desc->name : "module";
}

void host_log(const void *mod, int level, const char *fmt, ...)
{
    struct log_pair pair = {"module", str_of(module_name(mod))};
    enum log_level l = level < CS_DEBUG || level > CS_ERR ? LOG_LEVEL_INFO : (enum log_level)level;
    va_list ap;
    va_start(ap, fmt);
    log_write_with(l, &pair, 1, fmt, ap);
    va_end(ap);
}

static void end_timer(cs_timer *m)
{
    timer_clear(&here->loop->timers, &m->timer);
    list_remove(&m->node);
    free(m);
}

static void on_timer(struct timer *t)
{
    cs_timer *m = CONTAINER_OF(t, cs_timer, timer);
    unsigned module = m->module;
    cs_cb cb = m->cb;
    void *arg = m->arg;
    if (m->every_ms)
        timer_set(&here->loop->timers, t, m->every_ms);
    else
        end_timer(m);
    if (crumb_is_quarantined(module))
        return;
    host_enter(here);
    uint32_t was = crumb_enter(module, CRUMB_TIMER);
    cb(arg);
    crumb_leave(was);
}

cs_timer *host_timer(cs_proc *p, int64_t ms, int repeat, cs_cb cb, void *arg)
{
    check(p != NULL && here != NULL && cb != NULL);
    cs_timer *m = mem_alloc(sizeof *m);
    uint64_t wait = ms < 1 ? 1 : (uint64_t)ms;
    timer_init(&m->timer, on_timer);
    list_add_tail(&here->timers, &m->node);
    m->module = p->module->number;
    m->cb = cb;
    m->arg = arg;
    m->every_ms = repeat ? wait : 0;
    timer_set(&here->loop->timers, &m->timer, wait);
    return m;
}

void host_timer_cancel(cs_timer *m)
{
    if (m)
        end_timer(m);
}

int64_t host_now_ms(void)
{
    return (int64_t)clock_ms();
}

/* ---- Hooks of its life ---- */

static int call_start(const struct host *h, cs_proc *p)
{
    const cs_module *desc = p->module->desc;
    int (*hook)(cs_proc *) = h->primary ? desc->primary_start : desc->worker_start;
    if (!hook)
        return CS_OK;
    uint32_t was =
        crumb_enter(p->module->number, h->primary ? CRUMB_PRIMARY_START : CRUMB_WORKER_START);
    int rc = hook(p);
    if (rc < 0)
        atomic_store(&crumb_here->refused, atomic_load(&crumb_here->where));
    crumb_leave(was);
    return rc;
}

static bool start_one(struct host *h, cs_proc *p)
{
    const cs_module *desc = p->module->desc;
    int rc = crumb_is_quarantined(p->module->number) ? CS_OK : call_start(h, p);
    if (rc < 0)
        log_error("module %s: %s failed (%d)", desc->name,
                  h->primary ? "primary_start" : "worker_start", rc);
    return rc >= 0;
}

static bool start_all(struct host *h)
{
    h->procs = mem_alloc((h->conf->nmodules + 1) * sizeof *h->procs);
    for (size_t i = 0; i < h->conf->nmodules; i++)
        if (!zone_attach(h->conf->modules[i].desc, h->conf->modules[i].number))
            return false;
    for (size_t i = 0; i < h->conf->nmodules; i++) {
        h->procs[i].module = &h->conf->modules[i];
        if (!start_one(h, &h->procs[i]))
            return false;
    }
    return true;
}

void host_pretend(struct host *h, const struct host_opts *opts)
{
    *h = (struct host){
        .conf = opts->conf,
        .loop = opts->loop,
        .region = opts->region,
        .slot = opts->slot,
        .primary = opts->slot < IPC_SLOT_WORKERS,
        .on_settings = opts->on_settings,
        .settings_arg = opts->settings_arg,
        .self = {.size = sizeof h->self,
                 .slot = host_number(opts->slot),
                 .workers = (int)opts->workers,
                 .incarnation = atomic_load(&region_slot(opts->region, opts->slot)->incarnation),
                 .generation = opts->generation}};
    here = h;
    list_init(&h->timers);
    list_init(&h->watches);
    pool_init(&h->pool, h->loop, (unsigned)h->conf->server.threads, MAX_JOBS);
    pool_init(&h->disk, h->loop, (unsigned)h->conf->server.disk_threads,
              (unsigned)h->conf->server.disk_queue);
    counter_set_slot(h->region, h->slot);
    crumb_join(h->region, h->slot, opts->generation);
}

void host_part(struct host *h)
{
    pool_close(&h->pool, 0);
    pool_close(&h->disk, 0);
    crumb_part();
    here = NULL;
}

int host_open(struct host *h, const struct host_opts *opts)
{
    host_pretend(h, opts);
    int rc = h->primary ? 0 : pool_open(&h->disk);
    if (rc < 0) {
        log_error("cannot make what threads ring when a file has been read: %s", strerror(-rc));
        return -1;
    }
    rc = post_open(h);
    if (rc == -ENOTRECOVERABLE) { /* requests need no mail */
        log_error(
            "the lock of the mailbox cannot be recovered: no messages until the next restart");
    } else if (rc < 0) {
        log_error("cannot take part in the mail: %s", strerror(-rc));
        return -1;
    }
    return start_all(h) ? 0 : -1;
}

static void stop_one(struct host *h, cs_proc *p)
{
    const cs_module *desc = p->module->desc;
    void (*hook)(cs_proc *) = h->primary ? desc->primary_stop : desc->worker_stop;
    if (!hook || crumb_is_quarantined(p->module->number))
        return;
    host_enter(h);
    uint32_t was =
        crumb_enter(p->module->number, h->primary ? CRUMB_PRIMARY_STOP : CRUMB_WORKER_STOP);
    hook(p);
    crumb_leave(was);
}

void host_stop(struct host *h)
{
    for (size_t i = 0; i < h->conf->nmodules; i++)
        stop_one(h, &h->procs[i]);
}

bool host_end_work(struct host *h)
{
    const bool worked = pool_close(&h->pool, WORK_MS), read = pool_close(&h->disk, WORK_MS);
    LIST_EACH(it, &h->pool.jobs)
    log_warn("work of module %s still runs on a thread: this process ends without it",
             host_module_name(job_module(CONTAINER_OF(it, struct pool_job, all))));
    if (!read)
        log_warn("%u threads still wait for a disk: this process ends without them",
                 h->disk.nrunning);
    return worked && read;
}

void host_close(struct host *h)
{
    post_close(h); /* calls modules for the last time */
    watch_end_all(h);
    LIST_EACH(it, &h->timers)
    end_timer(CONTAINER_OF(it, cs_timer, node));
    free(h->procs);
    h->procs = NULL;
    here = NULL;
}

/* ---- Each turn of the loop ---- */

int host_wait_ms(struct host *h)
{
    return mailbox_wait_ms(&h->mail);
}

bool host_has_mail(const struct host *h)
{
    return mailbox_has_work(&h->mail);
}

void host_drain(struct host *h)
{
    mailbox_drain(&h->mail, MAX_MESSAGES, MAX_US);
}

static bool has_worked(struct host *h)
{
    if (!h->last_job)
        h->last_job = 1 + h->pool.serial;
    return pool_oldest(&h->pool) >= h->last_job;
}

/* Not until nothing is left: there may be no end to what others send, or to jobs that begin others. */
bool host_is_done(struct host *h)
{
    if (!has_worked(h))
        return false;
    if (!h->mail.joined)
        return true;
    if (!h->last_mail)
        h->last_mail = 1 + ring_head(h->region);
    return mailbox_outbox_empty(&h->mail) && h->mail.cursor + 1 >= h->last_mail;
}

static bool takes_topic(const cs_module *desc)
{
    for (const cs_topic_def *def = desc->topics; def && def->name; def++)
        if (def->on_message)
            return true;
    return false;
}

bool host_wants_primary(const struct conf *conf)
{
    for (size_t i = 0; i < conf->nmodules; i++) {
        const cs_module *desc = conf->modules[i].desc;
        if (desc->primary_start || desc->primary_stop || takes_topic(desc))
            return true;
    }
    return false;
}
