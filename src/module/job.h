/* job.h - work of modules on the threads of the process: what cs_job and cs_offload have in common. */
#ifndef MODULE_JOB_H
#define MODULE_JOB_H

#include "api/cserver/cserver.h"
#include "event/pool.h"

struct job {
    struct pool_job pool;
    struct pool *where; /* it has been started there */
    void (*work)(void *arg);
    void *arg;
    unsigned module; /* whose it is */
    /* On the loop, once; ran: work has returned. The struct may be freed then. */
    void (*over)(struct job *job, bool ran);
};

/* work, arg, module and over are set. CS_OK; CS_AGAIN: too many wait, or (logged) there
 * is no thread for it. */
int job_start(struct job *job);
/* over is not called any more. False: the work runs. */
bool job_cancel(struct job *job);

/* Whose it is. */
unsigned job_module(const struct pool_job *pool);

/* Part of cs_api. */
int host_job(cs_proc *p, void (*work)(void *arg), cs_cb done, void *arg);

#endif
