/* The calls of cs_api about what a request asks others for, and those of them that wait. */
#include "http/hop.h"
#include "serve/api_calls.h"
#include "serve/errand.h"
#include "serve/header.h"
#include "serve/task.h"

static cs_fetching *begin(cs_req *pub, const cs_fetch_opts *o, bool inner,
                          void (*done)(cs_req *, const cs_fetched *, void *), void *arg)
{
    check(o != NULL && o->size >= sizeof *o);
    struct errand *e = errand_new(request_of(pub), o, inner);
    e->done = done;
    e->arg = arg;
    return errand_public(e);
}

cs_fetching *api_fetch(cs_req *pub, const cs_fetch_opts *o,
                       void (*done)(cs_req *, const cs_fetched *, void *), void *arg)
{
    return begin(pub, o, false, done, arg);
}

cs_fetching *api_subrequest(cs_req *pub, const cs_fetch_opts *o,
                            void (*done)(cs_req *, const cs_fetched *, void *), void *arg)
{
    return begin(pub, o, true, done, arg);
}

const cs_fetched *api_fetch_answer(const cs_fetching *f)
{
    const struct errand *e = errand_of(f);
    return e->over ? &e->answer : NULL;
}

cs_str api_fetch_header(const cs_fetching *f, const char *name)
{
    const struct errand *e = errand_of(f);
    const struct http_header *h = http_header_find(e->fields, e->nfields, str_of(name));
    return h ? h->value : (cs_str){0};
}

int api_fetch_header_each(const cs_fetching *f, int (*each)(cs_str, cs_str, void *), void *arg)
{
    const struct errand *e = errand_of(f);
    int rc = 0;
    for (size_t i = 0; i < e->nfields && !rc; i++)
        rc = each(e->fields[i].name, e->fields[i].value, arg);
    return rc;
}

/* What the server makes itself it does not take: that is no error. */
int api_fetch_pass(cs_req *pub, const cs_fetching *f)
{
    struct request *r = request_of(pub);
    const struct errand *e = errand_of(f);
    if (!e->answer.status || task_is_past(r))
        return CS_ERROR;
    for (size_t i = 0; i < e->nfields; i++)
        if (!http_hop_is(e->fields[i].name, e->fields, e->nfields) &&
            !str_eq_nocase(e->fields[i].name, CS_S("Server")) &&
            header_set(r, e->fields[i].name, e->fields[i].value, true) == CS_CLOSED)
            return CS_ERROR;
    return CS_OK;
}

int api_fetch_send(cs_fetching *f, cs_str data, int last)
{
    return errand_send(errand_of(f), data, last != 0);
}

void api_fetch_resume(cs_fetching *f)
{
    errand_resume(errand_of(f));
}

void api_fetch_end(cs_fetching *f)
{
    errand_end(errand_of(f));
}

/* ---- Waiting ---- */

static const cs_fetched *refusal(int rc)
{
    static const cs_fetched closed = {.size = sizeof closed,
                                      .result = CS_CLOSED,
                                      .body_len = -1,
                                      .body = {"", 0},
                                      .why = {"the request is over", 19}},
                            wrong = {.size = sizeof wrong,
                                     .result = CS_ERROR,
                                     .body_len = -1,
                                     .body = {"", 0},
                                     .why = {"nothing may wait here", 21}};
    return rc == CS_CLOSED ? &closed : &wrong;
}

static int refuse(struct task *t, const char *why)
{
    request_log(t->request, CS_ERR, request_culprit(t->request), "%s", why);
    return CS_ERROR;
}

/* Another request's may be gone while this one waits. */
static int check_own(struct task *t, const struct errand *e)
{
    return e->request == t->request
               ? CS_OK
               : refuse(t, "a task can only wait for what its own request has asked for");
}

static int enter(cs_req *pub, const char *name, const struct errand *e, struct task **t)
{
    int rc = task_enter(pub, name, t);
    return rc == CS_OK ? check_own(*t, e) : rc;
}

static bool forget(void *arg)
{
    struct errand *e = arg;
    e->task = NULL;
    e->waits = ERRAND_NOTHING;
    return true;
}

static int wait(struct task *t, struct errand *e, enum errand_wait what)
{
    if (e->task || e->gather)
        return CS_ERROR; /* somebody else waits for it */
    e->task = t;
    e->waits = (uint8_t)what;
    return task_wait(t, forget, e);
}

/* NULL: it may be waited for until it is over. */
static const char *why_never(const struct errand *e)
{
    if (e->streamed && !e->on_data &&
        !(e->answer.status && http_reply_body_length(&e->exchange.body) == 0))
        return "cs_await_fetch waits for a streamed answer whose pieces nobody takes: "
               "cs_await_piece, or .on_data";
    if (e->follows && !e->sent_last && !e->on_drain)
        return "cs_await_fetch waits for the answer to a body that nobody sends: cs_fetch_send it "
               "before that, or leave .body_follows out";
    return NULL;
}

/* One that is streamed may be over but for its last piece, which a task has been given: it comes to its end by itself then. */
const cs_fetched *api_await_fetched(cs_req *pub, cs_fetching *f)
{
    struct errand *e = errand_of(f);
    struct task *t;
    int rc = enter(pub, "cs_await_fetch", e, &t);
    if (rc == CS_OK && !e->over && why_never(e))
        rc = refuse(t, why_never(e));
    if (rc == CS_OK && !e->over)
        rc = wait(t, e, ERRAND_END);
    return rc == CS_OK ? &e->answer : refusal(rc);
}

const cs_fetched *api_await_head(cs_req *pub, cs_fetching *f)
{
    struct errand *e = errand_of(f);
    struct task *t;
    int rc = enter(pub, "cs_await_head", e, &t);
    if (rc == CS_OK && !e->over && !e->answer.status)
        rc = wait(t, e, ERRAND_HEAD);
    return rc == CS_OK ? &e->answer : refusal(rc);
}

int api_await_piece(cs_req *pub, cs_fetching *f, cs_str *piece)
{
    struct errand *e = errand_of(f);
    struct task *t;
    *piece = (cs_str){"", 0};
    int rc = enter(pub, "cs_await_piece", e, &t);
    if (rc != CS_OK)
        return rc;
    if (!e->streamed || e->on_data)
        return refuse(t, "cs_await_piece is for fetches with .streamed = 1 and without .on_data");
    buf_clear(&e->body);
    if (!e->over) {
        if (exchange_is_paused(&e->exchange))
            errand_resume(e);
        rc = wait(t, e, ERRAND_PIECE);
    }
    if (rc != CS_OK)
        return rc;
    if (e->body.n)
        *piece = buf_str(&e->body);
    return e->body.n ? CS_OK : e->answer.result;
}

int api_await_fetch_send(cs_req *pub, cs_fetching *f, cs_str data, int last)
{
    struct errand *e = errand_of(f);
    struct task *t;
    int rc = enter(pub, "cs_await_fetch_send", e, &t);
    if (rc == CS_OK)
        rc = errand_send(e, data, last != 0);
    if (rc == CS_AGAIN)
        rc = wait(t, e, ERRAND_ROOM);
    return rc == CS_OK && e->over && !last ? CS_CLOSED : rc;
}

/* ---- Several at once ---- */

struct all {
    struct errand_gather gather;
    cs_fetching *const *f;
    int n;
};

static void leave(struct all *all)
{
    timer_clear(&all->gather.task->request->serve->loop->timers, &all->gather.limit);
    for (int i = 0; i < all->n; i++)
        if (errand_of(all->f[i])->gather == &all->gather)
            errand_of(all->f[i])->gather = NULL;
}

static bool forget_all(void *arg)
{
    leave(arg);
    return true;
}

static void on_limit(struct timer *limit)
{
    task_wake(CONTAINER_OF(limit, struct errand_gather, limit)->task, CS_OK);
}

static int count_over(const struct all *all)
{
    int over = 0;
    for (int i = 0; i < all->n; i++)
        over += errand_of(all->f[i])->over;
    return over;
}

/* One may stand there twice: it is waited for once. */
static void gather(struct all *all)
{
    for (int i = 0; i < all->n; i++) {
        struct errand *e = errand_of(all->f[i]);
        if (e->over || e->task || e->gather)
            continue;
        e->gather = &all->gather;
        all->gather.left++;
    }
}

int api_await_all(cs_req *pub, cs_fetching *const *f, int n, int64_t ms)
{
    struct all all = {.f = f, .n = n};
    int rc = task_enter(pub, "cs_await_all", &all.gather.task);
    for (int i = 0; i < n && rc == CS_OK; i++)
        rc = check_own(all.gather.task, errand_of(f[i]));
    if (rc != CS_OK)
        return rc;
    gather(&all);
    if (all.gather.left && ms > 0) {
        timer_init(&all.gather.limit, on_limit);
        timer_set(&all.gather.task->request->serve->loop->timers, &all.gather.limit, (uint64_t)ms);
        rc = task_wait(all.gather.task, forget_all, &all);
    }
    leave(&all);
    return rc == CS_OK ? count_over(&all) : rc;
}
