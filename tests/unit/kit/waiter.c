/* waiter.c - tasks: a handler that waits in another way for each path. Each frees what it has, however it ends. */
#include <cserver/cserver.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cs_topic *topic;
static cs_counter *begun, *ended, *cancelled, *worked, *closed;

static int number(cs_req *r, const char *name, int otherwise)
{
    uint64_t n;
    return cs_u64(cs_query(r, name), &n) == CS_OK ? (int)n : otherwise;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void no_more(cs_req *r, void *arg)
{
    (void)arg;
    cs_log(CS_ERR, "called for a cancelled task: %d", cs_status(r));
}

static int no_data(cs_req *r, cs_str data, int last, void *arg)
{
    (void)data, (void)last;
    no_more(r, arg);
    return CS_ERROR;
}

static int no_field(cs_str name, cs_str value, void *arg)
{
    *(size_t *)arg += name.n + value.n;
    return CS_OK;
}

/* Each takes what it is given, also when it says no. */
static bool try_answers(cs_req *r)
{
    return cs_reply(r, 200, NULL, CS_S("x")) < 0 && cs_replyf(r, 200, NULL, "%d", 1) < 0 &&
           cs_reply_ref(r, 200, NULL, (cs_str){"x", 1}, free, malloc(1)) < 0 &&
           cs_reply_file(r, 200, NULL, open("/dev/null", O_RDONLY | O_CLOEXEC), 0, 0, NULL, NULL) <
               0 &&
           cs_fail(r, 500, "too late") != CS_OK && cs_add_header(r, "A", "b") < 0;
}

/* No more than that they are there: there is nobody for whom they would do something. */
static void try_others(cs_req *r)
{
    size_t n = 0;
    cs_header_each(r, no_field, &n);
    n += cs_header(r, "Host").n + cs_cookie(r, "a").n + cs_user(r).n + cs_body(r).n;
    n += cs_escape(r, CS_ESCAPE_HTML, CS_S("<a>")).n + cs_response_header(r, "Content-Type").n;
    memset(cs_alloc(r, 5000), 'm', 5000);
    cs_set_user(r, CS_S("me"));
    cs_validators(r, CS_S("\"e\""), 1);
    cs_req_after(r, 1, no_more, NULL);
    cs_offload(r, nothing, no_more, NULL);
    cs_on_drain(r, no_more, NULL);
    cs_body_stream(r, no_data, NULL);
    cs_body_resume(r);
    cs_from_token(cs_token_of(r));
    n += (size_t)(cs_elapsed_us(r) + cs_bytes_sent(r) + cs_coding_weight(r, "gzip"));
    cs_ctx(r) = n ? cs_ctx(r) : NULL;
}

/* What a cancelled task may still do: look, and be told no. */
static void try_all(cs_req *r)
{
    cs_str piece;
    if (!try_answers(r))
        cs_log(CS_ERR, "a cancelled task has answered");
    try_others(r);
    if (cs_sleep(r, 1) == CS_CLOSED && cs_await_body(r, &piece) == CS_CLOSED &&
        cs_await_send(r, CS_S("x"), 1) == CS_CLOSED &&
        cs_await_offload(r, free, NULL) == CS_CLOSED && cs_text(r, 200, "late\n") < 0 &&
        cs_start(r, 200, NULL, -1) < 0 && cs_send(r, CS_S("x"), 1) < 0 &&
        cs_set_header(r, "A", "b") < 0 && cs_proceed(r) < 0 && cs_jump(r, "/") < 0 &&
        cs_page(r, 404) < 0 && cs_info(r)->client.n && cs_token_of(r) && cs_format(r, "%d", 1).n &&
        cs_detach(r, 200) == NULL)
        cs_counter_add(cancelled, 1);
}

static int over(cs_req *r, int rc, void *memory)
{
    if (rc == CS_CLOSED)
        try_all(r);
    free(memory);
    return rc;
}

static int nap(cs_req *r, char *memory)
{
    int ms = number(r, "ms", 100);
    for (int i = 0; i < 3; i++) {
        int rc = cs_sleep(r, ms);
        if (rc != CS_OK)
            return over(r, rc, memory);
        memory[i] = 'x';
    }
    return over(r, cs_textf(r, 200, "%.3s at %lld\n", memory, (long long)cs_now_ms()), memory);
}

static int upload(cs_req *r, char *memory)
{
    cs_str piece;
    size_t n = 0, pieces = 0;
    int rc;
    while ((rc = cs_await_body(r, &piece)) == CS_OK && piece.n) {
        memory[0] = piece.p[0];
        if (number(r, "pause", 0) && cs_sleep(r, number(r, "pause", 0)) != CS_OK)
            return over(r, CS_CLOSED, memory);
        if (memory[0] != piece.p[0])
            return over(r, cs_fail(r, 500, "the piece has changed"), memory);
        n += piece.n;
        pieces++;
    }
    if (rc == CS_OK)
        rc = cs_textf(r, 200, "%zu bytes%s\n", n, pieces > 1 ? " in pieces" : "");
    return over(r, rc, memory);
}

static int download(cs_req *r, char *memory)
{
    int rc = cs_start(r, 200, "text/plain", -1);
    memset(memory, 'd', 4096);
    for (int i = number(r, "n", 1000); i > 0 && rc == CS_OK; i--)
        rc = cs_await_send(r, (cs_str){memory, 4096}, i == 1);
    return over(r, rc, memory);
}

struct work {
    int n, ms;
};

static void work(void *arg)
{
    struct work *w = arg;
    usleep((useconds_t)w->ms * 1000);
    w->n++;
}

static int errand(cs_req *r, void *memory)
{
    struct work w = {41, number(r, "ms", 20)}; /* on the task's stack */
    int rc = cs_await_offload(r, work, &w);
    if (w.n == 42)
        cs_counter_add(worked, 1);
    if (rc == CS_OK)
        rc = cs_textf(r, 200, "%d\n", w.n);
    return over(r, rc, memory);
}

static void on_time(cs_req *r, void *arg)
{
    (void)arg;
    cs_textf(r, 200, "%d\n", cs_sleep(r, 1));
}

static int callback(cs_req *r, void *memory)
{
    free(memory);
    int rc = cs_req_after(r, 1, on_time, NULL);
    return rc == CS_OK ? CS_PENDING : rc;
}

static int deep(int n)
{
    volatile char frame[512];
    size_t at = (size_t)n % sizeof frame; /* so that a compiler leaves it its size */
    frame[at] = (char)n;
    return n ? deep(n - 1) + frame[at] - (char)n : 0;
}

static int call(cs_req *r, void *memory)
{
    cs_str answer;
    int rc = cs_await_call(r, topic, CS_TO_PRIMARY, "well?", 5, 100, &answer);
    return over(r, rc == CS_OK ? cs_text(r, 200, answer) : rc == CS_TIMEOUT ? 504 : rc, memory);
}

static int after_answer(cs_req *r, void *memory)
{
    int rc = cs_text(r, 200, "first\n");
    return over(r, rc == CS_OK ? cs_sleep(r, 100000) : rc, memory);
}

static void on_close(void *arg)
{
    (void)arg;
    cs_log(CS_INFO, "story: on_close");
}

/* What comes in which order: see cst_log. */
static int story(cs_req *r, void *memory)
{
    cs_on_close(r, on_close, NULL);
    int rc = cs_sleep(r, 100);
    cs_log(CS_INFO, "story: returns %d", rc);
    return over(r, rc == CS_OK ? cs_text(r, 200, "told\n") : rc, memory);
}

/* Who has sent the request elsewhere has nothing more to wait for. */
static int leave(cs_req *r, void *memory)
{
    int rc = cs_jump(r, "/nap?ms=1");
    if (rc == CS_OK)
        rc = cs_sleep(r, 10);
    if (rc != CS_CLOSED)
        cs_log(CS_ERR, "a cancelled task has waited: %d", rc);
    return over(r, rc, memory);
}

static void jump_away(cs_req *r, void *arg)
{
    (void)arg;
    cs_jump(r, "/nap?ms=1");
}

/* Sent elsewhere by somebody else while it waits. */
static int taken(cs_req *r, void *memory)
{
    cs_req_after(r, 10, jump_away, NULL);
    int rc = cs_sleep(r, 1000);
    if (rc != CS_CLOSED)
        cs_log(CS_ERR, "a cancelled task has waited: %d", rc);
    return over(r, rc, memory);
}

static int stream(cs_req *r, void *memory)
{
    int rc = cs_sleep(r, 10);
    cs_stream *s = rc == CS_OK ? cs_detach(r, 200) : NULL;
    if (s) {
        cs_stream_send(s, CS_S("on\n"));
        cs_stream_close(s);
        rc = cs_sleep(r, 10) == CS_OK ? CS_OK : CS_CLOSED;
    }
    return over(r, rc, memory);
}

static int by_path(cs_req *r, char *memory)
{
    cs_str path = cs_info(r)->path;
    if (cs_eq(path, "/nap"))
        return nap(r, memory);
    if (cs_eq(path, "/upload"))
        return upload(r, memory);
    if (cs_eq(path, "/download"))
        return download(r, memory);
    if (cs_eq(path, "/errand"))
        return errand(r, memory);
    if (cs_eq(path, "/crash"))
        abort();
    if (cs_eq(path, "/story"))
        return story(r, memory);
    if (cs_eq(path, "/leave"))
        return leave(r, memory);
    if (cs_eq(path, "/taken"))
        return taken(r, memory);
    if (cs_eq(path, "/stream"))
        return stream(r, memory);
    if (cs_eq(path, "/callback"))
        return callback(r, memory);
    if (cs_eq(path, "/call"))
        return call(r, memory);
    if (cs_eq(path, "/after"))
        return after_answer(r, memory);
    if (cs_eq(path, "/deep"))
        return over(r, cs_textf(r, 200, "%d\n", deep(number(r, "n", 1))), memory);
    /* /wait?then=N: waits, then returns that. */
    int rc = cs_sleep(r, number(r, "ms", 10));
    if (rc == CS_OK && cs_eq(path, "/jump"))
        rc = cs_jump(r, "/nap?ms=1");
    else if (rc == CS_OK && cs_eq(path, "/proceed"))
        rc = cs_proceed(r) == CS_ERROR ? 403 : 500;
    else if (rc == CS_OK && cs_eq(path, "/fail"))
        rc = cs_fail(r, 409, "on purpose");
    else if (rc == CS_OK && cs_eq(path, "/page"))
        rc = cs_page(r, 404);
    else if (rc == CS_OK && cs_eq(path, "/taste"))
        rc = cs_await_body(r, &(cs_str){0}) == CS_OK ? CS_DECLINED : CS_ERROR;
    else if (rc == CS_OK)
        rc = number(r, "then", 0) == 2 ? CS_DECLINED : number(r, "then", 0);
    return over(r, rc, memory);
}

static void on_gone(void *arg)
{
    (void)arg;
    cs_counter_add(closed, 1);
}

static int handler(cs_req *r)
{
    cs_counter_add(begun, 1);
    cs_on_close(r, on_gone, NULL);
    int rc = by_path(r, malloc(4096));
    cs_counter_add(ended, 1);
    return rc;
}

static int access_hook(cs_req *r)
{
    int ms = number(r, "door", 0);
    int rc = ms ? cs_sleep(r, ms) : CS_OK;
    return rc != CS_OK ? rc : ms == 7 ? 403 : CS_DECLINED;
}

static void on_message(const cs_msg *m)
{
    (void)m;
}

static const cs_topic_def topics[] = {
    {.ref = &topic, .name = "waiter.ask", .on_message = on_message}, {0}};

static void on_log(cs_req *r)
{
    if (cs_eq(cs_info(r)->path, "/story"))
        cs_log(CS_INFO, "story: on_log %d", cs_status(r));
}

static const cs_counter_def counters[] = {
    {&begun, "begun_total", "Handlers begun."},
    {&ended, "ended_total", "Handlers that have returned."},
    {&cancelled, "cancelled_total", "Of those, cancelled."},
    {&worked, "worked_total", "Jobs that have ended."},
    {&closed, "closed_total", "Of the handlers' requests, ended."},
    {0}};

CS_MODULE(.name = "waiter", .version = "1", .flags = CS_TASK | CS_BODY_STREAM, .counters = counters,
          .topics = topics, .access = access_hook, .handler = handler, .on_log = on_log);
