#include "serve/handle.h"

#include "serve/feed.h"
#include "serve/header.h"
#include "serve/jump.h"
#include "serve/limit.h"
#include "serve/respond.h"
#include "serve/task.h"
#include "serve/tell.h"

static const struct conf_module *module_of(const struct request *r)
{
    return r->route->chain[r->link].module;
}

static const char *hook_name(const struct request *r)
{
    return r->passed ? "handler" : "access hook";
}

/* The body is to be whole before this handler runs. True: come back when it is. */
static bool must_collect(struct request *r)
{
    if (module_of(r)->desc->flags & CS_BODY_STREAM || request_body_over(r) || r->dry ||
        jump_has_page(r))
        return false;
    r->sink = REQUEST_SINK_COLLECT;
    respond_continue(r);
    return true;
}

static void await_answer(struct request *r)
{
    r->pending = true;
    if (!r->answered)
        limit_be_patient(r);
}

/* Out of something that may be there again soon: not the server's fault for long. */
static int page_for(struct request *r, int rc)
{
    if (rc != CS_NOMEM && rc != CS_AGAIN)
        return 500;
    header_set(r, CS_S("Retry-After"), CS_S("1"), false);
    return 503;
}

static void fail(struct request *r, const char *what, int rc)
{
    serve_count_one(r->serve, IPC_HANDLER_ERRORS);
    request_log(r, CS_ERR, module_of(r)->desc->name, "the %s %s (%d)", hook_name(r), what, rc);
    if (r->answered)
        respond_abort(r);
    else
        respond_page(r, page_for(r, rc), NULL);
}

/* What a hook's result means. True: ask the next one. */
static bool judge(struct request *r, int rc)
{
    feed_judge(r, rc);
    if (r->jumping)
        return false;
    if (rc == CS_DECLINED && !r->answered) {
        if (r->sink == REQUEST_SINK_STREAM)
            r->sink = REQUEST_SINK_WAIT;
        r->paused = false;
        return true;
    }
    if (rc == CS_PENDING) {
        if (!r->complete)
            await_answer(r);
    } else if (rc >= 200 && rc <= 599) {
        if (r->answered)
            fail(r, "returned a status after it had answered", rc);
        else
            respond_page(r, rc, NULL);
    } else if (rc == CS_OK) {
        if (!r->answered)
            fail(r, "returned CS_OK without an answer", rc);
        else if (!r->complete)
            await_answer(r);
    } else {
        fail(r, rc == CS_DECLINED ? "declined after it had answered" : "failed", rc);
    }
    return false;
}

static int call(struct request *r, const struct conf_module *m, int (*hook)(cs_req *r))
{
    return m->desc->flags & CS_TASK ? task_call(r, m->number, hook) : hook(request_public(r));
}

/* With a trace: as in ask. */
static int tell_hook(struct request *r, const struct conf_module *m, int (*hook)(cs_req *r),
                     enum crumb_hook where)
{
    int kind = where == CRUMB_ACCESS ? CS_HOOK_ACCESS : CS_HOOK_HANDLER;
    cs_str was = tell_enter(r, m);
    int rc = r->dry ? tell_ask(r, m, kind) : call(r, m, hook);
    tell_back(r, was, m, kind, rc);
    return rc;
}

/* One hook. True: ask the next one. */
static bool ask(struct request *r, int (*hook)(cs_req *r), enum crumb_hook where)
{
    const struct conf_module *m = module_of(r);
    if (!request_may_call(r, m->number))
        return false;
    r->working = true;
    uint32_t was = request_enter(r, m->number, where);
    int rc = r->trace ? tell_hook(r, m, hook, where) : call(r, m, hook);
    crumb_leave(was);
    r->working = false;
    if (r->proceed && rc == CS_PENDING)
        rc = CS_DECLINED;
    r->proceed = false;
    if (rc == CS_OK && r->complete && !r->feed)
        return false;
    return judge(r, rc);
}

/* True: all let it pass. */
static bool run_access(struct request *r)
{
    for (; r->link < r->route->nlinks; r->link++) {
        int (*hook)(cs_req *) = module_of(r)->desc->access;
        if (hook && !ask(r, hook, CRUMB_ACCESS))
            return false;
    }
    return true;
}

void handle_run(struct request *r)
{
    if (!r->passed) {
        if (r->hooks & ROUTE_ACCESS && !run_access(r))
            return;
        r->passed = true;
        r->link = (unsigned)r->route->first_handler;
    }
    for (; r->link < r->route->nlinks; r->link++) {
        if (must_collect(r))
            return;
        if (!ask(r, module_of(r)->desc->handler, CRUMB_HANDLER))
            return;
    }
    respond_page(r, r->head.method == HTTP_OTHER ? 501 : 404, NULL);
}

void handle_begin(struct request *r)
{
    const struct route *route = r->route;
    for (unsigned i = 0; i < route->nlinks; i++)
        if (crumb_is_quarantined(route->chain[i].module->number)) {
            r->link = i;
            request_refuse_module(r);
            return;
        }
    r->link = 0;
    handle_run(r);
}

void handle_page(struct request *r)
{
    r->passed = true;
    r->link = (unsigned)r->route->first_handler;
    handle_run(r);
}

static void pend_no_more(struct request *r)
{
    r->pending = false;
    timer_clear(&r->serve->loop->timers, &r->patience);
}

/* Whoever comes next begins in the connection's next step, not inside of what has woken the task. */
void handle_later(struct request *r, int rc)
{
    if (r->complete)
        return;
    if (rc == CS_DECLINED && !r->answered && !r->tasted) {
        r->proceed = true;
        loop_later(r->serve->loop, &r->conn->task);
        return;
    }
    pend_no_more(r);
    if (rc == CS_DECLINED && !r->answered)
        fail(r, "declined after it had been given some of the body", rc);
    else
        judge(r, rc);
    conn_wake(r->conn);
}

void handle_proceed(struct request *r)
{
    r->proceed = false;
    if (r->answered || !r->pending)
        return;
    task_cancel_all(r);
    pend_no_more(r);
    if (judge(r, CS_DECLINED)) {
        r->link++;
        handle_run(r);
    }
}
