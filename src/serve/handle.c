#include "serve/handle.h"

#include "serve/feed.h"
#include "serve/respond.h"

static const cs_module *module_of(const struct request *r)
{
    return r->route->chain[r->link].module->desc;
}

/* The body is to be whole before this handler runs. True: come back when it is. */
static bool must_collect(struct request *r)
{
    if (module_of(r)->flags & CS_BODY_STREAM || request_body_over(r))
        return false;
    r->sink = REQUEST_SINK_COLLECT;
    respond_continue(r);
    return true;
}

static void await_answer(struct request *r)
{
    r->pending = true;
    if (!r->answered && r->serve->limits->handler_timeout)
        timer_set(&r->serve->loop->timers, &r->patience,
                  (uint64_t)r->serve->limits->handler_timeout);
}

static void fail(struct request *r, const char *what, int rc)
{
    serve_count_one(r->serve, IPC_HANDLER_ERRORS);
    request_log(r, CS_ERR, module_of(r)->name, "%s (%d)", what, rc);
    if (r->answered)
        respond_abort(r);
    else
        respond_page(r, 500, NULL);
}

/* What a handler's result means. True: ask the next one. */
static bool judge(struct request *r, int rc)
{
    feed_judge(r, rc);
    if (rc == CS_DECLINED && !r->answered) {
        if (r->sink == REQUEST_SINK_STREAM)
            r->sink = REQUEST_SINK_WAIT;
        return true;
    }
    if (rc == CS_PENDING) {
        if (!r->complete)
            await_answer(r);
    } else if (rc >= 200 && rc <= 599) {
        if (r->answered)
            fail(r, "the handler returned a status after it had answered", rc);
        else
            respond_page(r, rc, NULL);
    } else if (rc == CS_OK) {
        if (!r->answered)
            fail(r, "the handler returned CS_OK without an answer", rc);
        else if (!r->complete)
            await_answer(r);
    } else {
        fail(r,
             rc == CS_DECLINED ? "the handler declined after it had answered"
                               : "the handler failed",
             rc);
    }
    return false;
}

void handle_run(struct request *r)
{
    if (r->link < r->route->first_handler)
        r->link = (unsigned)r->route->first_handler;
    for (; r->link < r->route->nlinks; r->link++) {
        if (must_collect(r))
            return;
        serve_enter_module(r->serve);
        int rc = module_of(r)->handler(request_public(r));
        if (!judge(r, rc))
            return;
    }
    respond_page(r, r->head.method == HTTP_OTHER ? 501 : 404, NULL);
}
