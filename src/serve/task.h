/* task.h - access hooks and handlers of modules with CS_TASK: each call runs on a stack of its own, where it may wait.
 *
 *   task_call --returns--> the result                       the stack is free again
 *       `-----waits-----> CS_PENDING --woken--> goes on --returns--> handle_later(r, result)
 *                              `----cancelled--> goes on: what it waits for is CS_CLOSED, as all further waiting
 *
 * A task is cancelled when its request has ended, has been answered without it, or has gone elsewhere. It goes on even so,
 * to its return, since what it has on its stack is its to free. The request's memory stays as long; it has no connection
 * then, and whatever would answer says no. What the task returns does not matter any more.
 *
 * Who lets a task wait:
 *
 *     struct task *t = task_here();                           NULL: nobody may wait here
 *     start(..., on_done, t);
 *     int rc = task_wait(t, forget, arg);                     on_done calls task_wake(t, rc)
 *
 * What the waiting needs may lie on the task's own stack. */
#ifndef SERVE_TASK_H
#define SERVE_TASK_H

#include "os/fiber.h"
#include "os/stack.h"
#include "serve/request.h"

struct task_body;

struct task {
    struct fiber fiber;
    struct stack *stack;
    struct request *request;
    struct list node;   /* in request->work->tasks, while it waits or has waited */
    struct task *outer; /* that was running when this one went on */
    int (*hook)(cs_req *r);
    int result;     /* of the hook; of what it waits for */
    uint32_t where; /* the crumb in which it may wait: its own hook, not one that it has called */
    uint16_t module;
    uint8_t hook_name; /* enum crumb_hook */
    bool waits, cancelled;
    uint32_t refused; /* waits since it was cancelled */
    bool (*forget)(void *arg);
    void *forget_arg;
    struct task_body *body; /* api_task.c's: of cs_await_body */
};

/* The one that runs; NULL: none. */
extern struct task *task_running;

/* Before the first task of a worker. */
void task_open(struct serve *s);
void task_close(struct serve *s);

/* Calls a hook as a task. Its result; CS_PENDING: it waits, or said so; CS_NOMEM (logged): no stack. */
int task_call(struct request *r, unsigned module, int (*hook)(cs_req *r));

/* The task that runs, where it may wait. NULL: there is none, or a hook or callback runs inside its calls. */
struct task *task_here(void);

/* The same for a call of cs_api by that name: CS_OK; CS_CLOSED: it is cancelled; CS_ERROR (logged): it cannot wait for that request. */
int task_enter(cs_req *pub, const char *name, struct task **out);

/* Until task_wake. Its result, or CS_CLOSED: cancelled. forget(arg) is called when it is cancelled: true: task_wake does not come
 * any more; false: it still does, and has to be waited for. */
int task_wait(struct task *t, bool (*forget)(void *arg), void *arg);

/* It goes on, now. Nothing when it does not wait. From the loop, where modules may be called. */
void task_wake(struct task *t, int result);

/* All of the request are cancelled: they go on now, but for one that runs or cannot yet. */
void task_cancel_all(struct request *r);

/* Does a task of that request run? */
static inline bool task_runs_for(const struct request *r)
{
    return task_running && task_running->request == r;
}

/* Is it a cancelled task of that request that runs? It has no say any more. */
static inline bool task_is_past(const struct request *r)
{
    return task_runs_for(r) && task_running->cancelled;
}

/* Is it of no use any more to whoever calls? It has ended, or a cancelled task of it runs. */
static inline bool task_is_closed(const struct request *r)
{
    return r->ended || task_is_past(r);
}

/* Has the running task left its stack by touching that address? For a signal handler. */
bool task_overflows(uintptr_t address);

#endif
