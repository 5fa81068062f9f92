#include "serve/task.h"

#include "base/log.h"
#include "module/crumb.h"
#include "module/host.h"
#include "serve/api_calls.h"
#include "serve/api_debug.h"
#include "serve/handle.h"

#include <errno.h>
#include <stdlib.h>

#define SPARE_STACKS 1024 /* a burst leaves so many behind at most */
#define REFUSED_MOST 1000 /* waits of a cancelled task before the log says so */
#define TASK_ROOM    ((sizeof(struct task) + 63) & ~(size_t)63)

struct task *task_running;

/* ---- Its stack ---- */

void task_open(struct serve *s)
{
    stack_pool_init(&s->stacks, (size_t)s->plan->conf->server.task_stack, SPARE_STACKS);
}

void task_close(struct serve *s)
{
    stack_pool_drain(&s->stacks);
}

bool task_overflows(uintptr_t address)
{
    return task_running && stack_guards(task_running->stack, address);
}

/* The struct lies at the upper end of the stack. */
static struct task *take(struct serve *s)
{
    struct stack *k = stack_take(&s->stacks);
    if (!k)
        return NULL;
    struct task *t = (struct task *)(void *)(k->low + k->size - TASK_ROOM);
    t->stack = k;
    return t;
}

/* What the metrics tell of them: seldom anything new. */
static void tell_stacks(struct serve *s)
{
    struct stack_pool *p = &s->stacks;
    if (!p->changed)
        return;
    p->changed = false;
    atomic_store_explicit(&s->slot->task_stacks, (int32_t)p->nstacks, memory_order_relaxed);
    atomic_store_explicit(&s->slot->task_stack_peak, p->peak, memory_order_relaxed);
}

static void give_back(struct serve *s, struct task *t)
{
    stack_give(&s->stacks, t->stack);
    tell_stacks(s);
}

/* ---- Running ---- */

static void run(void *arg)
{
    struct task *t = arg;
    t->result = t->hook(request_public(t->request));
}

/* False: it is over. Where it runs is what the crumb says: its own hook. */
static bool go_on(struct task *t)
{
    t->outer = task_running;
    t->where = atomic_load_explicit(&crumb_here->where, memory_order_relaxed);
    task_running = t;
    bool waits = fiber_resume(&t->fiber);
    task_running = t->outer;
    return waits;
}

static int refuse(struct request *r)
{
    serve_count_one(r->serve, IPC_TASK_NO_STACK);
    request_log(r, CS_ERR, request_culprit(r),
                "no stack for a task: %s (%u stacks are there; vm.max_map_count allows half as "
                "many as it says)",
                strerror(errno), r->serve->stacks.nstacks);
    return CS_NOMEM;
}

/* It has waited: now it counts as one of the request's, until it has returned. */
static void keep(struct task *t)
{
    struct request *r = t->request;
    t->hook_name = atomic_load_explicit(&crumb_here->where, memory_order_relaxed) & 0xff;
    list_init(&t->node);
    list_add_tail(&request_work(r)->tasks, &t->node);
    tell_stacks(r->serve);
}

int task_call(struct request *r, unsigned module, int (*hook)(cs_req *r))
{
    struct task *t = take(r->serve);
    if (!t)
        return refuse(r);
    t->request = r;
    t->hook = hook;
    t->module = (uint16_t)module;
    t->waits = t->cancelled = false;
    t->refused = 0;
    t->body = NULL;
    fiber_begin(&t->fiber, t->stack->low, (size_t)((char *)t - t->stack->low), run, t);
    if (go_on(t)) {
        keep(t);
        return CS_PENDING;
    }
    int result = t->result;
    if (t->body)
        api_task_body_free(t);
    give_back(r->serve, t);
    return result;
}

/* ---- Waiting ---- */

struct task *task_here(void)
{
    struct task *t = task_running;
    if (!t || t->where != atomic_load_explicit(&crumb_here->where, memory_order_relaxed))
        return NULL;
    return t;
}

/* Told once: who loops without looking at results keeps its worker from everything else. */
static int refuse_again(struct task *t, const char *name)
{
    if (++t->refused == REFUSED_MOST)
        request_log(t->request, CS_ERR, host_module_name(t->module),
                    "goes on and on waiting though %s says CS_CLOSED: look at each result, and "
                    "return",
                    name);
    return CS_CLOSED;
}

int task_enter(cs_req *pub, const char *name, struct task **out)
{
    struct task *t = task_here();
    *out = t;
    if (t && pub == request_public(t->request))
        return t->cancelled ? refuse_again(t, name) : CS_OK;
    static const char why[] =
        "was called where nothing may wait: only the access hook and the handler of a module with "
        "CS_TASK may, for their own request";
    if (pub)
        request_log(request_of(pub), CS_ERR, request_culprit(request_of(pub)), "%s %s", name, why);
    else
        log_error("module %s: %s %s", host_module_name(crumb_module()), name, why);
    return CS_ERROR;
}

static void count_waiting(struct serve *s, int by)
{
    atomic_fetch_add_explicit(&s->slot->tasks, by, memory_order_relaxed);
}

int task_wait(struct task *t, bool (*forget)(void *arg), void *arg)
{
    struct serve *s = t->request->serve;
    check(t == task_running && !t->cancelled);
    t->forget = forget;
    t->forget_arg = arg;
    t->waits = true;
    serve_count_one(s, IPC_TASK_WAITS);
    count_waiting(s, 1);
    fiber_stop(&t->fiber);
    count_waiting(s, -1);
    return t->cancelled ? CS_CLOSED : t->result;
}

/* It has returned. Of one that was cancelled nobody wants to know what. */
static void end(struct task *t)
{
    struct request *r = t->request;
    int result = t->result;
    bool cancelled = t->cancelled;
    list_remove(&t->node);
    if (t->body)
        api_task_body_free(t);
    give_back(r->serve, t);
    if (r->ended && r->serve->debug && list_empty(&r->work->tasks))
        api_debug_gone(r);
    if (!cancelled)
        handle_later(r, result);
    else if (r->ended && !r->work->cancelling)
        request_let_go(r);
}

static void resume(struct task *t)
{
    struct request *r = t->request;
    uint32_t was = request_enter(r, t->module, (enum crumb_hook)t->hook_name);
    t->waits = false;
    bool waits = go_on(t);
    crumb_leave(was);
    if (!waits)
        end(t);
}

/* One whose module is in quarantine goes on to its end only. */
void task_wake(struct task *t, int result)
{
    if (!t->waits)
        return;
    t->result = result;
    if (!t->cancelled && crumb_is_quarantined(t->module)) {
        t->cancelled = true;
        request_refuse_module(t->request);
    }
    resume(t);
}

/* ---- Being cancelled ---- */

static struct task *not_cancelled(const struct request *r)
{
    LIST_EACH(it, &r->work->tasks)
    {
        struct task *t = CONTAINER_OF(it, struct task, node);
        if (!t->cancelled)
            return t;
    }
    return NULL;
}

/* One that goes on may do whatever it likes: the list is looked at anew. */
void task_cancel_all(struct request *r)
{
    struct task *t;
    if (task_running && task_running->request == r)
        task_running->cancelled = true;
    if (!r->work || list_empty(&r->work->tasks))
        return;
    r->work->cancelling++;
    while ((t = not_cancelled(r))) {
        t->cancelled = true;
        if (t->waits && t->forget(t->forget_arg))
            resume(t);
    }
    r->work->cancelling--;
}
