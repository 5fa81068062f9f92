#include "module/job.h"

#include "base/log.h"
#include "base/mem.h"
#include "module/crumb.h"
#include "module/host.h"

#include <errno.h>
#include <stdlib.h>

/* Of a process, not of a request. */
struct process_job {
    struct job job;
    cs_cb done;
};

static void on_work(struct pool_job *pool)
{
    struct job *j = CONTAINER_OF(pool, struct job, pool);
    crumb_thread_where = j->module << 8 | CRUMB_WORK;
    j->work(j->arg);
    crumb_thread_where = 0;
}

static void on_over(struct pool_job *pool, bool ran)
{
    struct job *j = CONTAINER_OF(pool, struct job, pool);
    j->over(j, ran);
}

/* Those of modules that read files have threads of their own, which may be stuck in the disk. */
static struct pool *pool_for(unsigned module)
{
    struct host *h = host_here();
    for (size_t i = 0; module && i < h->conf->nmodules; i++)
        if (h->conf->modules[i].number == module && h->conf->modules[i].desc)
            return h->conf->modules[i].desc->flags & CS_DISK ? &h->disk : &h->pool;
    return &h->pool;
}

int job_start(struct job *j)
{
    j->pool.work = on_work;
    j->pool.over = on_over;
    j->where = pool_for(j->module);
    int rc = pool_add(j->where, &j->pool);
    if (rc < 0 && rc != -EAGAIN)
        log_warn("there is no thread for a job of module %s: %s", host_module_name(j->module),
                 strerror(-rc));
    return rc < 0 ? CS_AGAIN : CS_OK;
}

bool job_cancel(struct job *j)
{
    return pool_remove(j->where, &j->pool);
}

unsigned job_module(const struct pool_job *pool)
{
    return CONTAINER_OF(pool, const struct job, pool)->module;
}

static void on_process_job(struct job *j, bool ran)
{
    struct process_job *p = CONTAINER_OF(j, struct process_job, job);
    cs_cb done = crumb_is_quarantined(j->module) ? NULL : p->done;
    unsigned module = j->module;
    void *arg = j->arg;
    free(p);
    if (!ran || !done)
        return;
    host_enter(host_here());
    uint32_t was = crumb_enter(module, CRUMB_DONE);
    done(arg);
    crumb_leave(was);
}

int host_job(cs_proc *p, void (*work)(void *arg), cs_cb done, void *arg)
{
    check(p != NULL && host_here() != NULL && work != NULL);
    struct process_job *j = mem_alloc(sizeof *j);
    j->job =
        (struct job){.work = work, .arg = arg, .module = host_module_of(p), .over = on_process_job};
    j->done = done;
    int rc = job_start(&j->job);
    if (rc != CS_OK)
        free(j);
    return rc;
}
