/* nasty.c - a module for tests: uses the interface in every way, allowed or not. The last part of
 * the path says how. What it has seen of its callbacks is told by /nasty/facts. */
#define _GNU_SOURCE
#include <cserver/cserver.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct facts {
    int closed, released, drained, ticked;
    int alive_in_close; /* times that a token still gave the request inside on_close */
    int late;           /* calls of on_data behind an answer */
    int rc;             /* the last result that a case keeps */
} facts;

static cs_proc *process;

struct state {
    int n, times;
    long got;
    cs_req *r;
};

static cs_token dying;

static int number(cs_req *r)
{
    cs_str q = cs_info(r)->query;
    return q.n ? atoi(cs_format(r, "%.*s", CS_F(q)).p) : 0;
}

static struct state *state_of(cs_req *r)
{
    struct state *s = cs_alloc(r, sizeof *s);
    s->n = number(r);
    s->r = r;
    return s;
}

static void on_closed(void *arg)
{
    (void)arg;
    facts.closed++;
    facts.alive_in_close += cs_from_token(dying) != NULL;
}

static void on_released(void *arg)
{
    (void)arg;
    facts.released++;
}

/* ---- Results of a handler ---- */

static int tell_facts(cs_req *r)
{
    return cs_textf(r, 200,
                    "closed %d\nreleased %d\ndrained %d\nticked %d\nalive %d\nrc %d\nlate %d\n",
                    facts.closed, facts.released, facts.drained, facts.ticked, facts.alive_in_close,
                    facts.rc, facts.late);
}

static int forget_facts(cs_req *r)
{
    facts = (struct facts){0};
    dying = 0;
    return cs_text(r, 200, "");
}

static int status(cs_req *r)
{
    return number(r);
}

static int fail(cs_req *r)
{
    return cs_fail(r, number(r), "asked to fail");
}

static void fail_now(cs_req *r, void *arg)
{
    struct state *s = arg;
    facts.rc = cs_fail(r, s->n, "asked to fail later");
}

static int fail_later(cs_req *r)
{
    cs_req_after(r, 10, fail_now, state_of(r));
    return CS_PENDING;
}

static int never(cs_req *r)
{
    cs_on_close(r, on_closed, NULL);
    dying = cs_token_of(r);
    return CS_PENDING;
}

static int twice(cs_req *r)
{
    int rc = cs_text(r, 200, "first");
    facts.rc = cs_text(r, 500, "second");
    return rc;
}

static void answer(cs_req *r, void *arg)
{
    (void)arg;
    facts.ticked++;
    facts.rc = cs_text(r, 200, "later");
}

static int later(cs_req *r)
{
    cs_req_after(r, number(r), answer, NULL);
    return CS_PENDING;
}

static int answer_and_timer(cs_req *r)
{
    cs_req_after(r, 20, answer, NULL);
    return cs_text(r, 200, "at once");
}

static int ok_without_answer(cs_req *r)
{
    (void)r;
    return CS_OK;
}

/* ---- After the start of an answer ---- */

static int begin(cs_req *r)
{
    cs_start(r, 200, "text/plain", -1);
    return cs_send(r, CS_S("abc"), 0);
}

static int start_then_return(cs_req *r)
{
    begin(r);
    return number(r);
}

static int start_then_fail(cs_req *r)
{
    begin(r);
    return cs_fail(r, 500, "in the middle");
}

static int start_then_fail_later(cs_req *r)
{
    begin(r);
    cs_req_after(r, 20, fail_now, state_of(r));
    return CS_PENDING;
}

static int data_error(cs_req *r, cs_str data, int last, void *arg)
{
    struct state *s = arg;
    (void)last;
    if (data.n && s->n)
        begin(r);
    return CS_ERROR;
}

static int start_then_data_error(cs_req *r)
{
    int rc = cs_body_stream(r, data_error, state_of(r));
    return rc ? rc : CS_PENDING;
}

static int too_much(cs_req *r)
{
    cs_start(r, 200, "text/plain", 3);
    facts.rc = cs_send(r, CS_S("12345"), 1);
    return CS_PENDING;
}

static int too_little(cs_req *r)
{
    cs_start(r, 200, "text/plain", 10);
    return cs_send(r, CS_S("123"), 1);
}

static int pieces(cs_req *r)
{
    cs_start(r, 200, "text/plain", number(r));
    cs_send(r, CS_S("123"), 0);
    cs_send(r, CS_S(""), 0);
    return cs_send(r, CS_S("45"), 1);
}

static int bodiless(cs_req *r)
{
    cs_start(r, number(r), NULL, -1);
    cs_send(r, CS_S("no body here"), 0);
    return cs_send(r, CS_S("none at all"), 1);
}

/* Fails when all of an answer is there, from a callback. */
static int answer_then_fail(cs_req *r, cs_str data, int last, void *arg)
{
    struct state *s = arg;
    (void)data;
    (void)last;
    if (s->times++) {
        facts.late++;
        return CS_ERROR;
    }
    int rc = cs_reply(r, 200, "text/plain", (cs_str){cs_alloc(r, (size_t)s->n), (size_t)s->n});
    facts.rc = cs_fail(r, 500, "too late to fail");
    return rc;
}

static int reply_then_fail(cs_req *r)
{
    int rc = cs_body_stream(r, answer_then_fail, state_of(r));
    return rc ? rc : CS_PENDING;
}

static int too_little_rc(cs_req *r)
{
    cs_start(r, 200, "text/plain", 10);
    facts.rc = cs_send(r, CS_S("123"), 1);
    return CS_OK;
}

/* ---- on_drain ---- */

static void on_drained(cs_req *r, void *arg)
{
    (void)arg;
    facts.drained++;
    cs_send(r, CS_S("drained"), 1);
}

static void wait_for_drain(cs_req *r, void *arg)
{
    (void)arg;
    cs_on_drain(r, on_drained, NULL);
}

/* Asks when all has long left. */
static int drain_idle(cs_req *r)
{
    begin(r);
    cs_req_after(r, 30, wait_for_drain, NULL);
    return CS_PENDING;
}

static void on_flood(cs_req *r, void *arg)
{
    static char block[65536];
    struct state *s = arg;
    int rc = CS_OK;
    facts.drained++;
    while (rc == CS_OK && s->n > 0)
        rc = cs_send(r, (cs_str){block, sizeof block}, --s->n == 0);
    if (rc == CS_AGAIN)
        cs_on_drain(r, on_flood, s);
}

/* `number` blocks of 64 KiB as fast as the client takes them. */
static int flood(cs_req *r)
{
    cs_start(r, 200, "application/octet-stream", -1);
    cs_on_drain(r, on_flood, state_of(r));
    return CS_PENDING;
}

static void ask_again(cs_req *r, void *arg)
{
    struct state *s = arg;
    if (++s->times == 50)
        cs_send(r, CS_S("enough"), 1);
    else
        cs_on_drain(r, ask_again, s);
}

static int drain_again(cs_req *r)
{
    begin(r);
    cs_on_drain(r, ask_again, state_of(r));
    return CS_PENDING;
}

/* ---- Bodies ---- */

static int count_data(cs_req *r, cs_str data, int last, void *arg)
{
    struct state *s = arg;
    s->got += (long)data.n;
    return last ? cs_textf(r, 200, "%ld bytes", s->got) : CS_OK;
}

static void stream_now(cs_req *r, void *arg)
{
    facts.rc = cs_body_stream(r, count_data, arg);
}

static int stream_late(cs_req *r)
{
    cs_req_after(r, 30, stream_now, state_of(r));
    return CS_PENDING;
}

static int late_data(cs_req *r, cs_str data, int last, void *arg)
{
    (void)r, (void)data, (void)last, (void)arg;
    facts.late++;
    return CS_OK;
}

static int stream_after_start(cs_req *r)
{
    facts.late = 0;
    cs_start(r, 200, "text/plain", -1);
    facts.rc = cs_body_stream(r, late_data, NULL);
    return cs_send(r, cs_format(r, "rc %d, %d calls", facts.rc, facts.late), 1);
}

/* Without a body the callback comes inside cs_body_stream, which is late itself. */
static void stream_error(cs_req *r, void *arg)
{
    facts.rc = cs_body_stream(r, data_error, arg);
}

static int stream_late_error(cs_req *r)
{
    cs_req_after(r, 10, stream_error, state_of(r));
    return CS_PENDING;
}

static int bad_data(cs_req *r, cs_str data, int last, void *arg)
{
    (void)data, (void)last, (void)arg;
    return cs_text(r, 200, "the wrong callback");
}

static int stream_twice(cs_req *r)
{
    cs_body_stream(r, count_data, state_of(r));
    facts.rc = cs_body_stream(r, bad_data, NULL);
    return CS_PENDING;
}

static int stream_then_decline(cs_req *r)
{
    cs_body_stream(r, bad_data, NULL);
    return CS_DECLINED;
}

static void resume(cs_req *r, void *arg)
{
    (void)arg;
    facts.rc = cs_body_resume(r);
}

/* Turns every piece away once. */
static int hesitate(cs_req *r, cs_str data, int last, void *arg)
{
    struct state *s = arg;
    if (++s->times % 2) {
        cs_req_after(r, 1, resume, s);
        return CS_AGAIN;
    }
    return count_data(r, data, last, s);
}

static int stream_slowly(cs_req *r)
{
    int rc = cs_body_stream(r, hesitate, state_of(r));
    return rc ? rc : CS_PENDING;
}

static int answer_and_refuse(cs_req *r, cs_str data, int last, void *arg)
{
    (void)data, (void)last, (void)arg;
    cs_text(r, 200, "enough");
    return CS_AGAIN;
}

static int stream_answer_again(cs_req *r)
{
    int rc = cs_body_stream(r, answer_and_refuse, NULL);
    return rc ? rc : CS_PENDING;
}

static void resume_drained(cs_req *r, void *arg)
{
    (void)arg;
    cs_body_resume(r);
}

static void say_end(cs_req *r, void *arg)
{
    (void)arg;
    cs_send(r, CS_S("end"), 1);
}

/* Turns each piece away once, asks for it again when the answer so far has left, and says so in the
 * answer before it is taken. The end comes much later: what was said must not wait for it. */
static int answer_on_the_way(cs_req *r, cs_str data, int last, void *arg)
{
    struct state *s = arg;
    (void)data;
    if (!s->times++) {
        cs_start(r, 200, "text/plain", -1);
        cs_send(r, CS_S("1"), 0);
        cs_on_drain(r, resume_drained, s);
        return CS_AGAIN;
    }
    if (s->times == 2) {
        cs_send(r, CS_S("2"), 0);
        if (!last)
            cs_req_after(r, 3000, resume, s);
        else
            cs_req_after(r, 3000, say_end, s);
        return last ? CS_OK : CS_AGAIN;
    }
    return last ? cs_send(r, CS_S("end"), 1) : CS_OK;
}

static int stream_on_the_way(cs_req *r)
{
    int rc = cs_body_stream(r, answer_on_the_way, state_of(r));
    return rc ? rc : CS_PENDING;
}

/* ---- Borrowed bodies ---- */

static int ref(cs_req *r)
{
    static char text[100000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    dying = cs_token_of(r);
    cs_validators(r, CS_S("\"v1\""), 1000000000);
    return cs_reply_ref(r, 200, "text/plain", (cs_str){text, (size_t)number(r)}, on_released, NULL);
}

static int memory_file(int n)
{
    int fd = memfd_create("nasty", MFD_CLOEXEC);
    for (int i = 0; i < n; i++)
        if (pwrite(fd, "abcdefghijklmnopqrstuvwxyz" + i % 26, 1, i) != 1)
            break;
    return fd;
}

static void close_file(void *arg)
{
    on_released(NULL);
    close((int)(intptr_t)arg);
}

static int file(cs_req *r)
{
    int n = number(r), fd = memory_file(n);
    cs_validators(r, CS_S("\"v1\""), 1000000000);
    return cs_reply_file(r, 200, "text/plain", fd, 0, n, close_file, (void *)(intptr_t)fd);
}

static int odd_ranges(cs_req *r)
{
    static const int64_t odd[][2] = {{-1, 1}, {1, -1}, {INT64_MIN, INT64_MIN}, {INT64_MAX, 1}};
    int n = 0;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        int fd = memory_file(3);
        n += cs_reply_file(r, 200, "text/plain", fd, odd[i][0], odd[i][1], close_file,
                           (void *)(intptr_t)fd) == CS_ERROR;
        n += cs_reply_file(r, 200, "text/plain", memory_file(3), odd[i][0], odd[i][1], NULL,
                           NULL) == CS_ERROR;
    }
    n += cs_start(r, 200, "text/plain", -2) == CS_ERROR;
    n += cs_start(r, 200, "text/plain", INT64_MIN) == CS_ERROR;
    return cs_textf(r, 200, "%d refused", n);
}

/* More than a request may have, as a text that is kept and as an answer. */
static int formatted(cs_req *r)
{
    int n = number(r);
    cs_str text = cs_format(r, "%*d", n, 7);
    if (text.p)
        return cs_textf(r, 200, "%zu", text.n);
    facts.rc = cs_textf(r, 200, "%*d", n, 7);
    return cs_text(r, 200, "none");
}

static int ref_after_answer(cs_req *r)
{
    int rc = cs_text(r, 200, "first");
    facts.rc = cs_reply_ref(r, 200, NULL, CS_S("x"), on_released, NULL);
    facts.rc = cs_reply_ref(r, 42, NULL, CS_S("x"), on_released, NULL);
    return rc;
}

/* ---- Others ---- */

static int inject_type(cs_req *r)
{
    return cs_reply(r, 200, "text/plain\r\nX-Bad: 1", CS_S("x"));
}

static int inject_etag(cs_req *r)
{
    facts.rc = cs_validators(r, CS_S("\"a\"\r\nX-Bad: 1"), -1);
    return cs_text(r, 200, "x");
}

static int inject_header(cs_req *r)
{
    facts.rc = cs_set_header(r, "X-A", CS_S("1\r\nX-Bad: 1"));
    return cs_text(r, 200, "x");
}

static int encoded(cs_req *r)
{
    cs_set_header(r, "Content-Encoding", CS_S("gzip"));
    cs_set_header(r, "Cache-Control", CS_S("public, max-age=31536000"));
    return number(r) ? cs_fail(r, number(r), "no") : ref(r);
}

struct chain {
    int left;
    int *others;
};

static void tick(cs_req *r, void *arg)
{
    struct chain *c = arg;
    facts.ticked++;
    if (--c->left > 0)
        cs_req_after(r, 0, tick, c);
    else if (--*c->others == 0)
        cs_textf(r, 200, "%s", cs_alloc(r, 12 << 20) ? "room" : "no room");
}

/* Many timers, a few at a time. */
static int ticks(cs_req *r)
{
    struct chain *chains = cs_alloc(r, 500 * sizeof *chains);
    int *n = cs_alloc(r, sizeof *n);
    for (*n = 0; *n < 500; ++*n) {
        chains[*n] = (struct chain){.left = 200, .others = n};
        cs_req_after(r, 0, tick, &chains[*n]);
    }
    return CS_PENDING;
}

static int big(cs_req *r)
{
    size_t n = (size_t)number(r);
    char *p = cs_alloc(r, n);
    return p ? cs_reply(r, 200, "text/plain", (cs_str){p, n}) : CS_NOMEM;
}

static const struct {
    const char *name;
    int (*run)(cs_req *r);
} cases[] = {
    {"facts", tell_facts},
    {"forget", forget_facts},
    {"status", status},
    {"fail", fail},
    {"fail_later", fail_later},
    {"never", never},
    {"twice", twice},
    {"later", later},
    {"answer_and_timer", answer_and_timer},
    {"ok_without_answer", ok_without_answer},
    {"start_then_return", start_then_return},
    {"start_then_fail", start_then_fail},
    {"start_then_fail_later", start_then_fail_later},
    {"start_then_data_error", start_then_data_error},
    {"too_much", too_much},
    {"too_little", too_little},
    {"too_little_rc", too_little_rc},
    {"reply_then_fail", reply_then_fail},
    {"pieces", pieces},
    {"bodiless", bodiless},
    {"drain_idle", drain_idle},
    {"drain_again", drain_again},
    {"flood", flood},
    {"stream_late", stream_late},
    {"stream_late_error", stream_late_error},
    {"stream_after_start", stream_after_start},
    {"stream_twice", stream_twice},
    {"stream_then_decline", stream_then_decline},
    {"stream_slowly", stream_slowly},
    {"stream_answer_again", stream_answer_again},
    {"stream_on_the_way", stream_on_the_way},
    {"ref", ref},
    {"file", file},
    {"ref_after_answer", ref_after_answer},
    {"formatted", formatted},
    {"odd_ranges", odd_ranges},
    {"inject_type", inject_type},
    {"inject_etag", inject_etag},
    {"inject_header", inject_header},
    {"encoded", encoded},
    {"ticks", ticks},
    {"big", big},
};

static int handler(cs_req *r)
{
    cs_str path = cs_info(r)->path;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].name);
        if (path.n > n && path.p[path.n - n - 1] == '/' &&
            !memcmp(path.p + path.n - n, cases[i].name, n))
            return cases[i].run(r);
    }
    return CS_DECLINED;
}

static void every_now_and_then(void *arg)
{
    (void)arg;
    (void)process;
}

static int worker_start(cs_proc *p)
{
    process = p;
    return cs_every(p, 1000, every_now_and_then, NULL) ? CS_OK : CS_NOMEM;
}

CS_MODULE(.name = "nasty", .version = "1.0", .help = "Uses the interface in every way.",
          .flags = CS_BODY_STREAM, .worker_start = worker_start, .handler = handler);
