/* asker.c - asks others as its query says: /task/... waits for what comes, /callback/... is called. It tells what has come of it:
 * "RESULT STATUS [WHY] BODY", of a streamed one "N bytes" for BODY. ?url= where, ?sub=1: a route of this server;
 * ?method= ?headers= ?body= ?max= ?timeout= ?idle= ?connect= ?stream=1 ?forward=1; ?pause= ms before each piece is taken; ?up= pieces of
 * 8192 bytes that follow as its body, of ?len= bytes in all, else in chunks; ?end=head, data, drain, time: cs_fetch_end there.
 *
 * /all?n=&ms= asks s0.test, s1.test ... at once; ?also=count, jump, end: their callbacks do that, too. /leave?how= goes elsewhere, or
 * answers, after 10 ms, while a request is under way. /after answers before what it waits for is there. ?door=: the access hook asks
 * that first; ?log=: the log hook does. /kill?how= ends, or answers, what has begun it with
 * &victim=1. ?hf=: the header filter asks that. /stream sends "one " and stays. */
#include <cserver/cserver.h>

#include <stdlib.h>

struct work {
    cs_fetching *f;
    char *memory; /* of the task: whoever ends it has to free it */
    unsigned long long n, up;
    int pieces, told;
    int held;
    int64_t pause;
};

static cs_counter *begun, *ended, *called, *cancelled, *drained, *opened, *closed;

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
    return cs_textf(r, 200, "%d %d [%.*s] %.*s", a->result, a->status, CS_F(a->why), CS_F(body));
}

static cs_fetch_opts wish(cs_req *r)
{
    cs_fetch_opts o = {.size = sizeof o,
                       .url = text(r, "url"),
                       .method = text(r, "method"),
                       .headers = text(r, "headers"),
                       .body = text(r, "body"),
                       .max_body = number(r, "max"),
                       .timeout_ms = number(r, "timeout"),
                       .idle_ms = number(r, "idle"),
                       .connect_ms = number(r, "connect"),
                       .streamed = (int)number(r, "stream"),
                       .forward = (int)number(r, "forward")};
    o.body_follows = number(r, "up") > 0;
    o.body_len = number(r, "len") ? number(r, "len") : o.body_follows ? -1 : 0;
    return o;
}

static cs_fetching *start(cs_req *r, const cs_fetch_opts *o,
                          void (*done)(cs_req *, const cs_fetched *, void *), void *arg)
{
    return number(r, "sub") ? cs_api_->subrequest(r, o, done, arg)
                            : cs_api_->fetch(r, o, done, arg);
}

static char piece_of_8k[8192];
static cs_fetching *victim;
static cs_token whose;

/* ---- With callbacks ---- */

static void done(cs_req *r, const cs_fetched *a, void *arg)
{
    cs_counter_add(called, 1);
    tell(r, a, arg);
}

/* cs_fetch_end in the callback of that name. */
static int ends_here(cs_req *r, struct work *w, const char *where)
{
    if (!cs_eq(text(r, "end"), where))
        return 0;
    cs_fetch_end(w->f);
    if (cs_starts(cs_info(r)->path, "/callback"))
        cs_textf(r, 200, "ended at %s", where);
    return 1;
}

static void on_head(cs_req *r, const cs_fetched *a, void *arg)
{
    (void)a;
    ends_here(r, arg, "head");
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
    if (ends_here(r, w, "data"))
        return CS_OK;
    if (w->pause && w->held >= 0) {
        if (!w->held)
            cs_req_after(r, w->pause, go_on, w);
        w->held = 1;
        return CS_AGAIN;
    }
    w->held = 0;
    w->pieces++;
    w->n += data.n;
    return number(r, "refuse") ? CS_ERROR : CS_OK;
}

static void send_up(cs_req *r, void *arg)
{
    struct work *w = arg;
    if (w->told++) {
        cs_counter_add(drained, 1);
        if (ends_here(r, w, "drain"))
            return;
    }
    while (w->up > 0) {
        w->up--;
        if (cs_fetch_send(w->f, ((cs_str){piece_of_8k, sizeof piece_of_8k}), w->up == 0) != CS_OK)
            return;
    }
}

static void on_time(cs_req *r, void *arg)
{
    ends_here(r, arg, "time");
}

static int by_callback(cs_req *r)
{
    struct work *w = cs_alloc(r, sizeof *w);
    cs_fetch_opts o = wish(r);
    if (o.streamed)
        o.on_data = on_data;
    o.on_head = on_head;
    o.on_drain = send_up;
    w->pause = number(r, "pause");
    w->up = (unsigned long long)number(r, "up");
    w->f = start(r, &o, done, w);
    if (number(r, "victim")) {
        victim = w->f;
        whose = cs_token_of(r);
    }
    if (w->up)
        send_up(r, w);
    if (cs_eq(text(r, "end"), "time"))
        cs_req_after(r, 10, on_time, w);
    return CS_PENDING;
}

/* ---- As a task ---- */

static int upload(cs_req *r, struct work *w)
{
    int rc = CS_OK;
    while (rc == CS_OK && w->up-- > 0)
        rc = cs_await_fetch_send(r, w->f, ((cs_str){piece_of_8k, sizeof piece_of_8k}), w->up == 0);
    return rc;
}

static int pieces(cs_req *r, struct work *w)
{
    cs_str piece;
    for (;;) {
        if (w->pause && cs_sleep(r, w->pause) != CS_OK)
            return CS_CLOSED;
        int rc = cs_await_piece(r, w->f, &piece);
        if (rc != CS_OK || !piece.n)
            return rc;
        w->memory[0] = piece.p[0];
        w->pieces++;
        w->n += piece.n;
    }
}

/* What a cancelled task may still do: look, and be told no. */
static int over(cs_req *r, const struct work *w)
{
    cs_str piece;
    const cs_fetched *late = cs_await_fetch(r, .url = CS_S("http://s0.test/"));
    cs_fetching *more = cs_fetch(r, NULL, NULL, .url = CS_S("http://s0.test/")),
                *sub = cs_subrequest(r, NULL, NULL, .url = CS_S("/")), *all[] = {w->f, more};
    if (late->result == CS_CLOSED && late->why.n && cs_fetch_answer(more) &&
        cs_fetch_answer(more)->result == CS_CLOSED && cs_fetch_answer(sub)->result == CS_CLOSED &&
        cs_await_head(r, w->f)->result == CS_CLOSED &&
        cs_await_piece(r, w->f, &piece) == CS_CLOSED &&
        cs_await_fetch_send(r, w->f, CS_S("x"), 1) == CS_CLOSED &&
        cs_await_all(r, all, 2, 1000) == CS_CLOSED && cs_fetch_pass(r, w->f) == CS_ERROR)
        cs_counter_add(cancelled, 1);
    cs_fetch_resume(w->f);
    cs_fetch_end(more);
    cs_fetch_end(w->f);
    return CS_CLOSED;
}

static void count(cs_req *r, const cs_fetched *a, void *arg)
{
    (void)r, (void)a, (void)arg;
    cs_counter_add(called, 1);
}

static int by_task(cs_req *r)
{
    struct work w = {.pause = number(r, "pause"), .up = (unsigned long long)number(r, "up")};
    struct work *shown = cs_alloc(r, sizeof *shown);
    cs_fetch_opts o = wish(r);
    w.memory = malloc(100);
    o.on_head = cs_eq(text(r, "end"), "head") ? on_head : NULL;
    w.f = shown->f = start(r, &o, number(r, "both") ? count : NULL, shown);
    if (cs_eq(text(r, "end"), "time"))
        cs_req_after(r, 10, on_time, shown);
    if (w.up && upload(r, &w) == CS_CLOSED && !cs_await_head(r, w.f)->fetch)
        goto out;
    if (o.streamed && cs_await_head(r, w.f)->result == CS_OK)
        pieces(r, &w);
    const cs_fetched *a = cs_await_fetched(r, w.f);
    if (a->fetch) {
        int rc = tell(r, a, &w);
        free(w.memory);
        return rc;
    }
out:
    over(r, &w);
    free(w.memory);
    return CS_CLOSED;
}

/* ---- Several ---- */

struct all {
    cs_fetching *f[8];
    int n;
};

static void one_done(cs_req *r, const cs_fetched *a, void *arg)
{
    struct all *all = arg;
    cs_counter_add(called, 1);
    if (cs_eq(text(r, "also"), "jump"))
        cs_jump(r, "/plain");
    for (int i = 0; i < all->n && cs_eq(text(r, "also"), "end"); i++)
        if (all->f[i] != a->fetch && all->f[i])
            cs_fetch_end(all->f[i]);
}

static int fan_out(cs_req *r)
{
    struct all *all = cs_alloc(r, sizeof *all);
    cs_str said = CS_S("");
    all->n = (int)number(r, "n");
    for (int i = 0; i < all->n; i++)
        all->f[i] = cs_fetch(r, text(r, "also").n ? one_done : NULL, all,
                             .url = cs_format(r, "http://s%d.test/", i));
    if (number(r, "twice"))
        all->f[all->n++] = all->f[0];
    int over = cs_await_all(r, all->f, all->n, number(r, "ms"));
    if (over < 0)
        return CS_CLOSED;
    for (int i = 0; i < all->n; i++) {
        const cs_fetched *a = cs_fetch_answer(all->f[i]);
        said = cs_format(r, "%.*s %.*s", CS_F(said),
                         CS_F(!a          ? CS_S("-")
                              : a->result ? CS_S("!")
                                          : a->body));
    }
    return cs_textf(r, 200, "%d:%.*s", over, CS_F(said));
}

/* ---- Elsewhere ---- */

static void on_stream_end(cs_stream *s, void *arg)
{
    (void)s, (void)arg;
    cs_counter_add(closed, 1);
}

static int stream(cs_req *r)
{
    cs_stream *s = cs_detach(r, 200);
    if (!s)
        return CS_ERROR;
    cs_counter_add(opened, 1);
    cs_stream_on_close(s, on_stream_end, NULL);
    cs_stream_send(s, "one ");
    return CS_PENDING;
}

static void on_leave(cs_req *r, void *arg)
{
    cs_str how = text(r, "how");
    (void)arg;
    if (cs_eq(how, "page"))
        cs_page(r, 418);
    else if (cs_eq(how, "jump"))
        cs_jump(r, "/plain");
    else if (cs_eq(how, "detach"))
        stream(r);
    else if (cs_eq(how, "text"))
        cs_text(r, 200, "already");
    else if (cs_eq(how, "fail"))
        cs_fail(r, 502, "enough");
    else
        cs_proceed(r);
}

static int leave(cs_req *r)
{
    struct work *w = cs_alloc(r, sizeof *w);
    cs_fetch_opts o = wish(r);
    w->f = start(r, &o, done, w);
    int rc = cs_req_after(r, 10, on_leave, NULL);
    return rc == CS_OK ? CS_PENDING : rc;
}

static int after_answer(cs_req *r)
{
    cs_text(r, 200, "first");
    return cs_await_fetch(r, .url = text(r, "url"))->result;
}

static int kill(cs_req *r)
{
    cs_req *other = cs_from_token(whose);
    if (other && cs_eq(text(r, "how"), "end"))
        cs_fetch_end(victim);
    if (other && cs_eq(text(r, "how"), "jump"))
        cs_jump(other, "/plain");
    else if (other)
        cs_text(other, 200, "killed");
    return cs_text(r, 200, "nobody reads this");
}

static int big(cs_req *r)
{
    int rc = cs_start(r, 200, NULL, -1);
    for (int i = 127; i >= 0 && rc == CS_OK; i--)
        rc = cs_await_send(r, ((cs_str){piece_of_8k, sizeof piece_of_8k}), i == 0);
    return rc;
}

/* ---- The hooks ---- */

static int by_path(cs_req *r)
{
    cs_str path = cs_info(r)->path;
    if (cs_starts(path, "/callback"))
        return by_callback(r);
    if (cs_eq(path, "/all"))
        return fan_out(r);
    if (cs_eq(path, "/leave"))
        return leave(r);
    if (cs_eq(path, "/after"))
        return after_answer(r);
    if (cs_eq(path, "/plain"))
        return cs_text(r, 200, "plain");
    if (cs_eq(path, "/kill"))
        return kill(r);
    if (cs_eq(path, "/stream"))
        return stream(r);
    if (cs_eq(path, "/big"))
        return big(r);
    if (cs_eq(path, "/sink"))
        return cs_textf(r, 200, "%zu bytes", cs_body(r).n);
    return by_task(r);
}

static int handler(cs_req *r)
{
    cs_counter_add(begun, 1);
    int rc = by_path(r);
    cs_counter_add(ended, 1);
    return rc;
}

static int access_hook(cs_req *r)
{
    if (!text(r, "door").n)
        return CS_DECLINED;
    const cs_fetched *a = cs_await_fetch(r, .url = text(r, "door"));
    return !a->fetch ? CS_CLOSED : a->status == 200 ? CS_DECLINED : 403;
}

static int header_filter(cs_req *r)
{
    if (text(r, "hf").n)
        cs_fetch(r, count, NULL, .url = text(r, "hf"));
    return CS_OK;
}

static void on_log(cs_req *r)
{
    if (text(r, "log").n)
        cs_fetch(r, done, NULL, .url = text(r, "log"));
}

static const cs_counter_def counters[] = {{&begun, "begun_total", "Handlers begun."},
                                          {&ended, "ended_total", "Handlers that have returned."},
                                          {&called, "called_total", "Callbacks called."},
                                          {&cancelled, "cancelled_total", "Tasks cancelled."},
                                          {&drained, "drained_total", "Times there was room."},
                                          {&opened, "opened_total", "Streams begun."},
                                          {&closed, "closed_total", "Streams that have ended."},
                                          {0}};

CS_MODULE(.name = "asker", .version = "1", .flags = CS_TASK, .counters = counters,
          .access = access_hook, .handler = handler, .header_filter = header_filter,
          .on_log = on_log);
