/* Asks others as its query says, as a task (/task/...) or with callbacks (/callback/...), and tells what has come of it:
 * "RESULT STATUS BODY_LEN [WHY] BODY". ?url= where; ?sub=1: a route of this server; ?method= ?headers= ?body= ?max= ?timeout= ?idle=
 * ?connect= ?stream=1 (a count of the bytes for BODY) ?forward=1 ?pause= ms before each piece is taken. */
#include <cserver/cserver.h>

struct work {
    cs_fetching *f;
    unsigned long long n;
    int pieces, held;
    int64_t pause;
};

static cs_counter *begun, *ended, *called;

static cs_str text(cs_req *r, const char *name)
{
    cs_str s = cs_query(r, name);
    return s.p ? s : CS_S("");
}

static int64_t number(cs_req *r, const char *name)
{
    uint64_t n;
    return cs_u64(cs_query(r, name), &n) == CS_OK ? (int64_t)n : 0;
}

static int tell(cs_req *r, const cs_fetched *a, const struct work *w)
{
    cs_str body = w->pieces ? cs_format(r, "%llu bytes", w->n) : a->body;
    cs_set_header(r, "X-Mark", cs_fetch_header(w->f, "X-Mark"));
    return cs_textf(r, 200, "%d %d %lld [%.*s] %.*s", a->result, a->status, (long long)a->body_len, CS_F(a->why), CS_F(body));
}

static cs_fetch_opts wish(cs_req *r)
{
    cs_fetch_opts o = {.size = sizeof o,
                       .url = text(r, "url"),
                       .method = text(r, "method"),
                       .headers = text(r, "headers"),
                       .host = text(r, "host"),
                       .body = text(r, "body"),
                       .max_body = number(r, "max"),
                       .timeout_ms = number(r, "timeout"),
                       .idle_ms = number(r, "idle"),
                       .connect_ms = number(r, "connect"),
                       .streamed = (int)number(r, "stream"),
                       .forward = (int)number(r, "forward")};
    return o;
}

static cs_fetching *start(cs_req *r, const cs_fetch_opts *o, void (*done)(cs_req *, const cs_fetched *, void *), void *arg)
{
    return number(r, "sub") ? cs_api_->subrequest(r, o, done, arg) : cs_api_->fetch(r, o, done, arg);
}

/* ---- With callbacks ---- */

static void done(cs_req *r, const cs_fetched *a, void *arg)
{
    cs_counter_add(called, 1);
    tell(r, a, arg);
}

static void go_on(cs_req *r, void *arg)
{
    struct work *w = arg;
    (void)r;
    w->held = -1;
    cs_fetch_resume(w->f);
}

static int on_data(cs_req *r, cs_str data, void *arg)
{
    struct work *w = arg;
    if (w->pause && w->held >= 0) {
        if (!w->held)
            cs_req_after(r, w->pause, go_on, w);
        w->held = 1;
        return CS_AGAIN;
    }
    w->held = 0;
    w->pieces++;
    w->n += data.n;
    return CS_OK;
}

static int by_callback(cs_req *r)
{
    struct work *w = cs_alloc(r, sizeof *w);
    cs_fetch_opts o = wish(r);
    if (o.streamed)
        o.on_data = on_data;
    w->pause = number(r, "pause");
    w->f = start(r, &o, done, w);
    return CS_PENDING;
}

/* ---- As a task ---- */

static int by_task(cs_req *r)
{
    struct work w = {.pause = number(r, "pause")};
    cs_fetch_opts o = wish(r);
    cs_str piece;
    w.f = start(r, &o, NULL, NULL);
    if (o.streamed) {
        const cs_fetched *a = cs_await_head(r, w.f);
        if (a->result != CS_OK)
            return a->result == CS_CLOSED && !a->fetch ? CS_CLOSED : tell(r, a, &w);
        for (;;) {
            if (w.pause && cs_sleep(r, w.pause) != CS_OK)
                return CS_CLOSED;
            if (cs_await_piece(r, w.f, &piece) != CS_OK || !piece.n)
                break;
            w.pieces++;
            w.n += piece.n;
        }
    }
    const cs_fetched *a = cs_await_fetched(r, w.f);
    return a->fetch ? tell(r, a, &w) : CS_CLOSED;
}

static int handler(cs_req *r)
{
    if (cs_starts(cs_info(r)->path, "/callback"))
        return by_callback(r);
    cs_counter_add(begun, 1);
    int rc = by_task(r);
    cs_counter_add(ended, 1);
    return rc;
}

static const cs_counter_def counters[] = {{&begun, "begun_total", "Tasks begun."},
                                          {&ended, "ended_total", "Tasks that have returned."},
                                          {&called, "called_total", "Callbacks called."},
                                          {0}};

CS_MODULE(.name = "fetcher", .version = "1.0", .flags = CS_TASK, .counters = counters, .handler = handler);
