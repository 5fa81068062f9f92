#include "serve/offload.h"

#include "serve/task.h"

/* In the request's memory. One whose work is over serves again. */
struct request_job {
    struct job job;
    struct list node; /* in request->work->jobs */
    struct request *request;
    struct request_job *next_spare;
    cs_req_cb done; /* NULL: nobody waits for it any more */
};

static void leave(struct request_job *q)
{
    struct request *r = q->request;
    list_remove(&q->node);
    q->next_spare = r->work->spare_jobs;
    r->work->spare_jobs = q;
}

static void call_done(struct request *r, const struct request_job *q)
{
    if (!request_may_call(r, q->job.module))
        return;
    uint32_t was = request_enter(r, q->job.module, CRUMB_REQ_DONE);
    q->done(request_public(r), q->job.arg);
    crumb_leave(was);
}

static void on_over(struct job *job, bool ran)
{
    struct request_job *q = CONTAINER_OF(job, struct request_job, job);
    struct request *r = q->request;
    struct request_job copy = *q;
    MAGIC_CHECK(r, REQUEST_MAGIC);
    leave(q);
    if (r->ended)
        request_let_go(r);
    else if (ran && copy.done)
        call_done(r, &copy);
}

static struct request_job *take_job(struct request *r)
{
    struct request_work *w = request_work(r);
    struct request_job *q = w->spare_jobs;
    if (q)
        w->spare_jobs = q->next_spare;
    else
        q = arena_alloc(&r->arena, sizeof *q);
    return q;
}

int api_offload(cs_req *pub, void (*work)(void *arg), cs_req_cb done, void *arg)
{
    struct request *r = request_of(pub);
    check(work != NULL);
    if (task_is_closed(r))
        return CS_CLOSED;
    struct request_job *q = take_job(r);
    *q = (struct request_job){
        .job = {.work = work, .arg = arg, .module = crumb_module(), .over = on_over},
        .request = r,
        .done = done};
    list_add_tail(&request_work(r)->jobs, &q->node);
    int rc = job_start(&q->job);
    if (rc != CS_OK)
        leave(q);
    return rc;
}

void offload_drop(struct request *r)
{
    if (!r->work)
        return;
    LIST_EACH(it, &r->work->jobs)
    {
        struct request_job *q = CONTAINER_OF(it, struct request_job, node);
        q->done = NULL;
        if (job_cancel(&q->job))
            leave(q);
    }
}
