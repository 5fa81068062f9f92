/* The calls of cs_api that wait. What they need meanwhile lies on the stack of the task. */
#include "module/call.h"
#include "module/job.h"
#include "serve/api_calls.h"
#include "serve/body.h"
#include "serve/pieces.h"
#include "serve/task.h"

#include <stdlib.h>

/* ---- cs_sleep ---- */

struct nap {
    struct timer timer;
    struct task *task;
};

static void on_nap_over(struct timer *timer)
{
    task_wake(CONTAINER_OF(timer, struct nap, timer)->task, CS_OK);
}

static bool forget_nap(void *arg)
{
    struct nap *nap = arg;
    timer_clear(&nap->task->request->serve->loop->timers, &nap->timer);
    return true;
}

int api_sleep(cs_req *pub, int64_t ms)
{
    struct nap nap;
    int rc = task_enter(pub, "cs_sleep", &nap.task);
    if (rc != CS_OK)
        return rc;
    timer_init(&nap.timer, on_nap_over);
    timer_set(&nap.task->request->serve->loop->timers, &nap.timer, ms < 0 ? 0 : (uint64_t)ms);
    return task_wait(nap.task, forget_nap, &nap);
}

/* ---- cs_await_offload ---- */

struct work_wait {
    struct job job;
    struct task *task;
};

static void on_work_over(struct job *job, bool ran)
{
    task_wake(CONTAINER_OF(job, struct work_wait, job)->task, ran ? CS_OK : CS_CLOSED);
}

/* What runs has to come to its end: it may use what lies on the stack. */
static bool forget_work(void *arg)
{
    struct work_wait *e = arg;
    return job_cancel(&e->job);
}

int api_await_offload(cs_req *pub, void (*work)(void *arg), void *arg)
{
    struct work_wait e = {0};
    int rc = task_enter(pub, "cs_await_offload", &e.task);
    if (rc != CS_OK)
        return rc;
    check(work != NULL);
    e.job = (struct job){.work = work, .arg = arg, .module = crumb_module(), .over = on_work_over};
    rc = job_start(&e.job);
    return rc == CS_OK ? task_wait(e.task, forget_work, &e) : rc;
}

/* ---- cs_await_call ---- */

struct call_wait {
    struct task *task;
    cs_str answer;
};

static void on_answer(int result, const cs_msg *answer, void *arg)
{
    struct call_wait *w = arg;
    if (answer)
        w->answer =
            arena_dup(&w->task->request->arena, (cs_str){(const char *)answer->data, answer->len});
    task_wake(w->task, result);
}

static bool forget_call(void *arg)
{
    call_drop(arg);
    return true;
}

/* Not the module's: what is in quarantine is not called, and the task would wait for ever. */
static int call_of_server(cs_topic *topic, int to, cs_str data, int64_t timeout_ms,
                          struct call_wait *w)
{
    uint32_t was = crumb_enter(0, CRUMB_NONE);
    int rc = call_begin(topic, to, data.p, data.n, timeout_ms, on_answer, w);
    crumb_leave(was);
    return rc;
}

int api_await_call(cs_req *pub, cs_topic *topic, int to, const void *data, size_t len,
                   int64_t timeout_ms, cs_str *answer)
{
    struct call_wait w = {.answer = {"", 0}};
    int rc = task_enter(pub, "cs_await_call", &w.task);
    if (rc == CS_OK)
        rc = call_of_server(topic, to, (cs_str){data, len}, timeout_ms, &w);
    if (rc == CS_OK)
        rc = task_wait(w.task, forget_call, &w);
    *answer = w.answer;
    return rc;
}

/* ---- cs_await_send ---- */

static void on_drained(cs_req *pub, void *arg)
{
    (void)pub;
    task_wake(arg, CS_OK);
}

static bool forget_drain(void *arg)
{
    struct task *t = arg;
    if (t->request->on_drain == on_drained)
        t->request->on_drain = NULL;
    return true;
}

int api_await_send(cs_req *pub, cs_str data, int last)
{
    struct task *t;
    int rc = task_enter(pub, "cs_await_send", &t);
    if (rc != CS_OK)
        return rc;
    rc = api_send(pub, data, last);
    if (rc != CS_AGAIN)
        return rc;
    rc = api_on_drain(pub, on_drained, t);
    return rc == CS_OK ? task_wait(t, forget_drain, t) : rc;
}

/* ---- cs_await_body ---- */

/* The piece is a copy: what it came in is used again while the task does something else. */
struct task_body {
    struct task *task;
    bool wanted, waits, last;
    size_t n, cap;
    char *data;
};

static int take_piece(struct task_body *b, cs_str data)
{
    if (data.n > b->cap) {
        char *p = realloc(b->data, data.n);
        if (!p)
            return CS_NOMEM;
        b->data = p;
        b->cap = data.n;
    }
    if (data.n)
        memcpy(b->data, data.p, data.n);
    b->n = data.n;
    return CS_OK;
}

/* A piece that nobody waits for stays where it is. */
static int on_piece(cs_req *pub, cs_str data, int last, void *arg)
{
    struct task_body *b = arg;
    (void)pub;
    if (!b->wanted)
        return CS_AGAIN;
    if (take_piece(b, data) != CS_OK)
        return CS_NOMEM;
    b->wanted = false;
    b->last = last;
    if (b->waits)
        task_wake(b->task, CS_OK);
    return CS_OK;
}

static bool forget_piece(void *arg)
{
    struct task_body *b = arg;
    b->wanted = false;
    return true;
}

static struct task_body *body_of(struct task *t)
{
    if (!t->body) {
        t->body = calloc(1, sizeof *t->body);
        check(t->body != NULL);
        t->body->task = t;
    }
    return t->body;
}

/* What nobody asks for any more is dropped. */
static int on_rest(cs_req *pub, cs_str data, int last, void *arg)
{
    (void)pub;
    (void)data;
    (void)last;
    (void)arg;
    return CS_OK;
}

void api_task_body_free(struct task *t)
{
    struct request *r = t->request;
    struct task_body *b = t->body;
    if (!b)
        return;
    if (r->on_data_arg == b) {
        r->on_data = on_rest;
        r->on_data_arg = NULL;
        if (r->paused && !r->ended)
            api_body_resume(request_public(r));
    }
    free(b->data);
    free(b);
}

/* The first call begins, others go on. A piece may come before it returns. */
static int ask(cs_req *pub, struct task_body *b)
{
    struct request *r = request_of(pub);
    b->wanted = true;
    if (r->sink != REQUEST_SINK_STREAM || r->on_data != on_piece)
        return api_body_stream(pub, on_piece, b);
    return r->paused ? api_body_resume(pub) : CS_OK;
}

static int refuse_body(struct request *r)
{
    request_log(r, CS_ERR, request_culprit(r),
                "cs_await_body is for handlers of modules with .flags = CS_TASK | CS_BODY_STREAM: "
                "others have the whole body, by cs_body");
    return CS_ERROR;
}

static bool may_stream(const struct request *r)
{
    return r->passed && r->route->chain[r->link].module->desc->flags & CS_BODY_STREAM;
}

int api_await_body(cs_req *pub, cs_str *piece)
{
    struct task *t;
    *piece = (cs_str){"", 0};
    int rc = task_enter(pub, "cs_await_body", &t);
    if (rc != CS_OK)
        return rc;
    if (!may_stream(t->request))
        return refuse_body(t->request);
    struct task_body *b = body_of(t);
    if (b->last)
        return CS_OK;
    do {
        rc = ask(pub, b);
        if (rc == CS_OK && b->wanted) {
            b->waits = true;
            rc = task_wait(t, forget_piece, b);
            b->waits = false;
        }
        if (rc != CS_OK)
            return rc;
    } while (!b->n && !b->last);
    *piece = (cs_str){b->data ? b->data : "", b->n};
    return CS_OK;
}
