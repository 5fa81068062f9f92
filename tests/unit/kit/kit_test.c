/* What <cserver/test.h> promises, each call of it, with the modules probe.c and guard.c beside this file. */
#include <cserver/test.h>

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static char root[] = "/tmp/cserver-kit-XXXXXX";

static struct cst *t;

static int set_up(void **state)
{
    (void)state;
    t = cst_open("./probe.so");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (t)
        cst_close(t);
    return 0;
}

static void assert_text(cs_str have, const char *want)
{
    if (!cst_is(have, want))
        fail_msg("got \"%.*s\", expected \"%s\"", CS_F(have), want);
}

static void assert_logged(const char *text)
{
    if (cst_logged(t, text))
        return;
    for (size_t i = 0; cst_log(t, i).p; i++)
        print_error("  log: %.*s\n", CS_F(cst_log(t, i)));
    fail_msg("the log has no \"%s\"", text);
}

/* ---- Requests ---- */

static void test_requests(void **state)
{
    static const struct {
        const char *label, *method, *target, *headers, *body;
        int status;
        const char *want; /* NULL: any */
    } rows[] = {
        {"get", "GET", "/", NULL, "", 200, "hello\n"},
        {"query", "GET", "/?x=1&y", NULL, "", 200, "hello\n"},
        {"head", "HEAD", "/", NULL, "", 200, ""},
        {"not found", "GET", "/nothing", NULL, "", 404, NULL},
        {"body", "POST", "/echo", NULL, "some words", 200, "POST||some words"},
        {"body with a length", "PUT", "/echo", "Content-Length: 3\n", "abc", 200, "PUT||abc"},
        {"chunked body", "POST", "/echo", "Transfer-Encoding: chunked\n", "abc", 200, "POST||abc"},
        {"one header", "GET", "/echo", "X-Word: yes", "", 200, "GET|yes|"},
        {"headers", "GET", "/echo", "A: b\nX-Word: yes\n", "", 200, "GET|yes|"},
        {"headers with CR", "GET", "/echo", "A: b\r\nX-Word: yes\r\n", "", 200, "GET|yes|"},
        {"another host", "GET", "/", "Host: example.com\n", "", 200, "hello\n"},
        {"two hosts", "GET", "/", "Host: a\nHost: b\n", "", 400, NULL},
        {"a body that is longer", "POST", "/echo", "Content-Length: 2\n", "abc", 200, "POST||ab"},
        {"path with escapes", "GET", "/%65cho", NULL, "", 200, "GET||"},
        {"bad path", "GET", "/%zz", NULL, "", 400, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        cst_answer a =
            cst_request(t, rows[i].method, rows[i].target, rows[i].headers, rows[i].body);
        if (a.status != rows[i].status || !a.whole ||
            (rows[i].want && !cst_is(a.body, rows[i].want)))
            fail_msg("%s: got %d \"%.*s\"", rows[i].label, a.status, CS_F(a.body));
    }
    printf("rows: %zu\n", COUNT(rows));
}

static void test_raw(void **state)
{
    static const struct {
        const char *label, *bytes;
        int status, closed;
        const char *rest; /* how it begins */
    } rows[] = {
        {"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 200, 1, ""},
        {"no host", "GET / HTTP/1.1\r\n\r\n", 400, 1, ""},
        {"no HTTP", "hello\r\n\r\n", 400, 1, ""},
        {"two requests", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\n\r\n",
         200, 0, "HTTP/1.1 200 OK\r\n"},
        {"half a head", "GET / HTTP/1.1\r\nHos", 408, 1, ""},
        {"continue",
         "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", 408,
         1, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        cst_req *q = cst_begin_raw(t, rows[i].bytes);
        cst_answer a = cst_finish(q);
        cs_str rest = cst_rest(q);
        size_t n = strlen(rows[i].rest);
        if (a.status != rows[i].status || a.closed != rows[i].closed || rest.n < n ||
            memcmp(rest.p, rows[i].rest, n))
            fail_msg("%s: got %d, closed %d, rest \"%.*s\"", rows[i].label, a.status, a.closed,
                     CS_F(rest));
    }
    assert_int_equal(cst_raw(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
    printf("rows: %zu\n", COUNT(rows));
}

static void test_answer(void **state)
{
    (void)state;
    cst_answer a = cst_expect(cst_get(t, "/"), 200, "hello\n");
    assert_int_equal(a.size, sizeof a);
    assert_text(cst_field(&a, "content-type"), "text/plain; charset=utf-8");
    assert_text(cst_field(&a, "Content-Length"), "6");
    assert_text(cst_field(&a, "X-Client"), "127.0.0.1");
    assert_null(cst_field(&a, "X-Nothing").p);
    assert_memory_equal(a.head.p, "HTTP/1.1 200 OK\r\n", 17);
    assert_false(a.closed);
    assert_int_equal(a.body.p[a.body.n], 0);
    cst_answer b = cst_get(t, "/echo");
    assert_text(a.body, "hello\n"); /* still there */
    assert_text(b.body, "GET||");
}

static void test_root(void **state)
{
    (void)state;
    cst_close(t);
    t = cst_open("./probe.so", NULL, .root = root);
    cst_expect(cst_get(t, "/file.txt"), 200, "in a ");
    cst_fail(t, "root_open", 1);
    cst_expect(cst_get(t, "/file.txt"), 404, "-24\n");
}

/* ---- Settings ---- */

static void test_settings(void **state)
{
    (void)state;
    cst_close(t);
    t = cst_open("./probe.so", "greeting = hi\ntick = 2s\n");
    cst_expect(cst_get(t, "/"), 200, "hi\n");
    cst_close(t);
    t = cst_open("./probe.so", "[limits]\nhandler_timeout = 1s\n"
                               "[module:probe]\ngreeting = hi\n"
                               "[route:here]\nmatch = = /\nhandler = probe\ngreeting = ho\n"
                               "[route:there]\nmatch = /pro\nhandler = probe, ok\n"
                               "[route:never]\nmatch = /never\nhandler = probe\n");
    cst_expect(cst_get(t, "/"), 200, "ho\n");
    cst_expect(cst_get(t, "/pro/be"), 200, "ok\n");
    cst_expect(cst_get(t, "/never"), 504, NULL);
    assert_int_equal(cst_elapsed(t), 1000);
    cst_expect(cst_get(t, "/x"), 404, NULL);
    cst_close(t);
    t = cst_open("./probe.so", "; nothing but this\n[limits]\nhandler_timeout = 5s\n");
    cst_expect(cst_get(t, "/"), 200, "hello\n");
}

static void test_check(void **state)
{
    static const struct {
        const char *label, *module, *settings, *says; /* NULL: they are good */
    } rows[] = {
        {"nothing", "./probe.so", NULL, NULL},
        {"good", "./probe.so", "greeting = hi\n", NULL},
        {"unknown key", "./probe.so", "greetin = hi\n", "did you mean \"greeting\"?"},
        {"unit", "./probe.so", "tick = 5\n", "tick"},
        {"on_config", "./probe.so", "greeting = bad\n", "nobody wants to hear that"},
        {"on_config of a route", "./probe.so",
         "[route:x]\nmatch = /\nhandler = probe\ngreeting = bad\n", "nobody wants to hear that"},
        {"regular expression", "./probe.so", "[route:x]\nmatch = ~ ^/x\nhandler = probe\n",
         "the test kit has no regular expressions"},
        {"another module", "./probe.so", "[route:x]\nmatch = /\nhandler = prob\n",
         "did you mean \"probe\"?"},
        {"no file", "./nothing.so", NULL, "there is no such file"},
        {"no module", "/proc/self/exe", NULL, "exe"},
        {"quotes and long lines", "./probe.so", "greeting = \"a ; b # c\"\n", NULL},
        {"lines that go on", "./probe.so", "greeting = one\n   two\n", NULL},
    };
    (void)state;
    cst_close(t);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *said = cst_check(rows[i].module, rows[i].settings);
        if (!said != !rows[i].says || (said && !strstr(said, rows[i].says)))
            fail_msg("%s: says \"%s\"", rows[i].label, said ? said : "good");
    }
    t = cst_open("./probe.so", "greeting = one\n   two\n");
    cst_expect(cst_get(t, "/"), 200, "one two\n");
    printf("rows: %zu\n", COUNT(rows));
}

static void test_chain(void **state)
{
    static const char *const more[] = {"./guard.so", NULL};
    (void)state;
    cst_close(t);
    t = cst_open("./guard.so");
    cst_answer a = cst_expect(cst_request(t, "GET", "/", "X-Key: open\n", ""), 200, "ok\n");
    assert_text(cst_field(&a, "X-Guard"), "here");
    cst_expect(cst_get(t, "/"), 403, NULL);
    assert_int_equal(cst_counter(t, "logged_total"), 2);
    cst_close(t);
    t = cst_open("./probe.so", "[route:all]\nmatch = /\nuse = guard\nhandler = probe\n",
                 .more = more);
    cst_expect(cst_request(t, "GET", "/", "X-Key: open\n", ""), 200, "hello\n");
    cst_expect(cst_get(t, "/"), 403, NULL);
    assert_int_equal(cst_counter(t, "guard.logged_total"), 2);
}

/* ---- Time ---- */

static void test_time(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/later?ms=5000", NULL, "");
    cst_run(t);
    cst_run(t);
    assert_int_equal(cst_elapsed(t), 0);
    cst_advance(t, 4999);
    assert_int_equal(cst_so_far(q).status, 0);
    cst_advance(t, 1);
    assert_int_equal(cst_so_far(q).status, 200);
    assert_int_equal(cst_counter(t, "ticks_total"), 5);
    assert_int_equal(cst_elapsed(t), 5000);
    cst_expect(cst_finish(q), 200, NULL);
    cst_expect(cst_get(t, "/later?ms=300"), 200, NULL);
    assert_int_equal(cst_elapsed(t), 5300);
    cst_advance(t, 1000000);
    assert_int_equal(cst_elapsed(t), 1005300);
    assert_int_equal(cst_counter(t, "ticks_total"), 1005);
}

static void test_several(void **state)
{
    (void)state;
    cst_req *late = cst_begin(t, "GET", "/later?ms=200", NULL, "");
    cst_req *early = cst_begin(t, "GET", "/later?ms=100", NULL, "");
    cst_req *now = cst_begin(t, "GET", "/", NULL, "");
    assert_int_equal(cst_so_far(now).status, 0);
    cst_run(t);
    assert_int_equal(cst_so_far(now).status, 200);
    cst_advance(t, 150);
    assert_int_equal(cst_so_far(early).status, 200);
    assert_int_equal(cst_so_far(late).status, 0);
    cst_expect(cst_finish(late), 200, NULL);
    assert_int_equal(cst_elapsed(t), 200);
}

/* ---- Clients ---- */

static void test_slow(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/pieces?n=1000", NULL, "");
    cst_slow(q);
    cst_run(t);
    assert_int_equal(cst_so_far(q).status, 0);
    assert_logged("waits 1");
    assert_false(cst_logged(t, "waits 2"));
    assert_int_equal(cst_read(q, 100), 100);
    assert_int_equal(cst_read(q, 5000), 5000);
    assert_int_equal(cst_so_far(q).status, 200);
    assert_false(cst_so_far(q).whole);
    assert_int_equal(cst_counter(t, "closed_total"), 0);
    assert_true(cst_read(q, SIZE_MAX) > 990000);
    assert_logged("waits 2");
    cst_answer a = cst_expect(cst_finish(q), 200, NULL);
    assert_int_equal(a.body.n, 1000000);
    assert_int_equal(cst_counter(t, "closed_total"), 1);
}

/* A client that takes nothing is given up after write_timeout. */
static void test_stuck(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/pieces?n=1000", NULL, "");
    cst_slow(q);
    cst_run(t);
    cst_advance(t, 3600000);
    assert_int_equal(cst_counter(t, "closed_total"), 1);
    cst_answer a = cst_finish(q);
    assert_false(a.whole);
    assert_true(a.closed);
}

static void test_abort(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/never", NULL, "");
    cst_run(t);
    assert_int_equal(cst_counter(t, "closed_total"), 0);
    cst_abort(q);
    cst_run(t);
    assert_int_equal(cst_counter(t, "closed_total"), 1);
    q = cst_begin(t, "GET", "/pieces?n=1000", NULL, "");
    cst_slow(q);
    cst_abort_at(q, 3000);
    cst_answer a = cst_finish(q);
    assert_false(a.whole);
    assert_true(a.head.n + 4 + a.body.n <= 3000 && a.body.n > 2000);
    assert_int_equal(cst_counter(t, "closed_total"), 2);
    q = cst_begin(t, "POST", "/echo", "Content-Length: 10\n", "");
    cst_send_body(q, 0, "12345");
    cst_run(t);
    cst_abort(q);
    cst_run(t);
    assert_int_equal(cst_so_far(q).status, 0);
}

static void test_body_in_pieces(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "POST", "/echo", "Content-Length: 6\n", "");
    cst_send_body(q, 0, "abc");
    cst_run(t);
    assert_int_equal(cst_so_far(q).status, 0);
    cst_send_body(q, 1, CS_S("def"));
    cst_expect(cst_finish(q), 200, "POST||abcdef");
    q = cst_begin(t, "POST", "/echo", "Transfer-Encoding: chunked\n", "");
    cst_send_body(q, 0, "abc");
    cst_run(t);
    cst_send_body(q, 0, "def");
    cst_run(t);
    assert_int_equal(cst_so_far(q).status, 0);
    cst_send_body(q, 1, "");
    cst_expect(cst_finish(q), 200, "POST||abcdef");
}

static void test_large(void **state)
{
    (void)state;
    cst_answer a = cst_expect(cst_get(t, "/large?n=10000000"), 200, NULL);
    assert_int_equal(a.body.n, 10000000);
    cst_expect(cst_get(t, "/large?n=20000000"), 503, NULL);
}

/* ---- Jobs ---- */

static void test_jobs(void **state)
{
    cst_req *q[20];
    (void)state;
    cst_expect(cst_get(t, "/work?n=21"), 200, "42\n");
    for (int i = 0; i < 20; i++) {
        char target[40];
        snprintf(target, sizeof target, "/work?n=%d", i);
        q[i] = cst_begin(t, "GET", target, NULL, "");
    }
    cst_run(t);
    for (int i = 0; i < 20; i++) {
        char want[20];
        snprintf(want, sizeof want, "%d\n", 2 * i);
        cst_expect(cst_so_far(q[i]), 200, want);
    }
    q[0] = cst_begin(t, "GET", "/work?n=1", NULL, "");
    cst_abort(q[0]);
    cst_run(t);
}

/* ---- Processes ---- */

static void test_processes(void **state)
{
    (void)state;
    cst_expect(cst_get(t, "/who"), 200, "1 of 1, life 1, seen 1\n");
    cst_expect(cst_get(t, "/who"), 200, "1 of 1, life 1, seen 2\n");
    cst_expect(cst_get(t, "/lock?n=5"), 200, "5\n");
    cst_advance(t, 3000);
    assert_int_equal(cst_worker(t, 3, 4), CS_OK);
    assert_logged("the worker stops");
    cst_expect(cst_get(t, "/who"), 200, "3 of 4, life 1, seen 1\n");
    cst_expect(cst_get(t, "/lock?n=5"), 200, "10\n");
    assert_int_equal(cst_counter(t, "ticks_total"), 3);
    cst_advance(t, 1000);
    assert_int_equal(cst_counter(t, "ticks_total"), 4);
    assert_int_equal(cst_worker(t, 3, 4), CS_OK);
    cst_expect(cst_get(t, "/who"), 200, "3 of 4, life 2, seen 1\n");
    assert_int_equal(cst_primary(t), CS_OK);
    assert_logged("the primary starts as 0");
    cst_advance(t, 2000);
    assert_int_equal(cst_counter(t, "ticks_total"), 6);
    assert_int_equal(cst_worker(t, 1, 1), CS_OK);
    assert_logged("the primary stops");
    cst_expect(cst_get(t, "/who"), 200, "1 of 1, life 3, seen 1\n");
    assert_int_equal(*(int64_t *)cst_zone(t, "state"), 10);
}

static void test_primary(void **state)
{
    (void)state;
    cst_close(t);
    t = cst_open("./probe.so", NULL, .primary = 1, .workers = 2);
    assert_logged("the primary starts as 0");
    assert_int_equal(cst_message(t, 2, "probe.note", "from two"), CS_OK);
    assert_logged("note from 2: from two");
}

static void test_failed_start(void **state)
{
    (void)state;
    cst_fail(t, "timer", 1);
    assert_int_equal(cst_worker(t, 1, 1), CS_ERROR);
    assert_logged("worker_start failed");
    assert_int_equal(cst_worker(t, 1, 1), CS_OK);
    cst_expect(cst_get(t, "/"), 200, "hello\n");
    cst_fail(t, "group", 1);
    assert_int_equal(cst_worker(t, 1, 1), CS_ERROR);
}

static void test_drain(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/later", NULL, "");
    cst_run(t);
    cst_drain(t);
    assert_logged("the worker stops");
    cst_answer a = cst_expect(cst_finish(q), 200, NULL);
    assert_text(cst_field(&a, "Connection"), "close");
}

/* ---- Messages ---- */

static void test_messages(void **state)
{
    static const struct {
        const char *label;
        int from;
        const char *topic, *data;
        int result;
        const char *log;
    } rows[] = {
        {"another worker", 2, "probe.note", "a", CS_OK, "note from 2: a, 1, hops 0"},
        {"the primary", 0, "probe.note", "b", CS_OK, "note from 0: b, 2, hops 0"},
        {"a command", CS_FROM_COMMAND, "probe.note", "c", CS_OK, "note from -16: c, 3, hops 0"},
        {"itself", 1, "probe.note", "d", CS_OK, "note from 1: d, 4, hops 0"},
        {"too long", 2, "probe.note",
         "1234567890123456789012345678901234567890123456789012345678901", CS_TOOBIG, ""},
        {"a topic nobody takes", 2, "probe.quiet", "x", CS_OK, ""},
    };
    (void)state;
    cst_worker(t, 1, 3);
    for (size_t i = 0; i < COUNT(rows); i++) {
        int rc = cst_message(t, rows[i].from, rows[i].topic, rows[i].data);
        if (rc != rows[i].result || !cst_logged(t, rows[i].log))
            fail_msg("%s: result %d, or no \"%s\"", rows[i].label, rc, rows[i].log);
    }
    assert_text((cs_str){(char *)cst_zone(t, "state") + 8, 1}, "d");
    printf("rows: %zu\n", COUNT(rows));
}

static void test_published(void **state)
{
    static const struct {
        const char *label, *target;
        int to, result, comes; /* comes: it is for this process too */
    } rows[] = {
        {"all", "/publish?to=-1", CS_TO_ALL, CS_OK, 1},
        {"workers", "/publish?to=-2", CS_TO_WORKERS, CS_OK, 1},
        {"others", "/publish?to=-3", CS_TO_OTHERS, CS_OK, 0},
        {"the primary", "/publish?to=0", 0, CS_OK, 0},
        {"worker 2", "/publish?to=2", 2, CS_OK, 0},
        {"itself", "/publish?to=1", 1, CS_OK, 1},
        {"nobody", "/publish?to=4", 4, CS_CLOSED, 0},
    };
    size_t notes = 0;
    (void)state;
    cst_worker(t, 1, 3);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char want[20];
        size_t come = 0;
        snprintf(want, sizeof want, "%d\n", rows[i].result);
        cst_expect(cst_get(t, rows[i].target), 200, want);
        const cst_published *p = cst_published_at(t, i);
        for (size_t k = 0; cst_log(t, k).p; k++)
            come += cst_log(t, k).n > 9 && !memcmp(cst_log(t, k).p, "info note", 9);
        if (!p || strcmp(p->topic, "probe.note") || p->to != rows[i].to ||
            p->result != rows[i].result || p->how != CST_PUBLISH || !cst_is(p->data, "hello") ||
            come != notes + (size_t)rows[i].comes)
            fail_msg("%s: published to %d with %d, %zu came", rows[i].label, p ? p->to : 99,
                     p ? p->result : 99, come - notes);
        notes = come;
    }
    assert_int_equal(cst_published_count(t), COUNT(rows));
    assert_null(cst_published_at(t, COUNT(rows)));
    printf("rows: %zu\n", COUNT(rows));
}

static void test_calls(void **state)
{
    (void)state;
    cst_worker(t, 1, 2);
    assert_text(cst_call(t, 2, "probe.note", "how?"), "fine");
    assert_text(cst_call(t, 0, "probe.note", "how?"), "fine");
    assert_null(cst_call(t, 2, "probe.note", "silence").p);
    assert_int_equal(cst_published_at(t, 0)->how, CST_ANSWER);
    assert_int_equal(cst_published_at(t, 0)->to, 2);

    cst_req *q = cst_begin(t, "GET", "/ask?to=2", NULL, "");
    cst_run(t);
    size_t last = cst_published_count(t) - 1;
    assert_int_equal(cst_published_at(t, last)->how, CST_CALL);
    assert_int_equal(cst_so_far(q).status, 0);
    cst_answer_to(t, last, "well");
    cst_expect(cst_finish(q), 200, "answer \"well\" 0\n");

    cst_expect(cst_get(t, "/ask?to=2&ms=700"), 200, "answer \"\" -7\n"); /* CS_TIMEOUT */
    assert_int_equal(cst_elapsed(t), 700);
    q = cst_begin(t, "GET", "/ask?to=2", NULL, "");
    cst_run(t);
    cst_leave(t, 2, 9);
    cst_expect(cst_finish(q), 200, "answer \"\" -5\n"); /* CS_CLOSED */
    cst_expect(cst_get(t, "/ask?to=2"), 200, "refused -5\n");
}

static void test_applied(void **state)
{
    (void)state;
    cst_worker(t, 1, 3);
    cst_expect(cst_get(t, "/applied"), 200, "applied 0\n");
    assert_int_equal(cst_elapsed(t), 0);
    cst_stall(t, 2, 1);
    cst_req *q = cst_begin(t, "GET", "/applied?ms=500", NULL, "");
    cst_advance(t, 499);
    assert_int_equal(cst_so_far(q).status, 0);
    cst_stall(t, 2, 0);
    cst_expect(cst_finish(q), 200, "applied 0\n");
    cst_stall(t, 2, 1);
    cst_expect(cst_get(t, "/applied?ms=500"), 200, "applied -7\n");
}

static void test_members(void **state)
{
    (void)state;
    cst_worker(t, 1, 2);
    cst_leave(t, 2, 11);
    assert_logged("2 has gone, life 1, signal 11");
    cst_expect(cst_get(t, "/publish?to=2"), 200, "-5\n");
    cst_join(t, 2);
    assert_logged("2 has come, life 2");
    cst_expect(cst_get(t, "/publish?to=2"), 200, "0\n");
    cst_join(t, 2);
    assert_logged("2 has gone, life 2, signal 0");
    assert_logged("2 has come, life 3");
    cst_join(t, 5);
    assert_logged("5 has come, life 1");
    cst_leave(t, 0, 0);
    assert_logged("0 has gone, life 1, signal 0");
    cst_expect(cst_get(t, "/publish?to=0"), 200, "0\n"); /* it waits for the next one */
    cst_join(t, 0);
    assert_logged("0 has come, life 2");
}

static void test_latest(void **state)
{
    (void)state;
    cst_message(t, CS_FROM_COMMAND, "probe.latest", "one");
    cst_message(t, CS_FROM_COMMAND, "probe.latest", "two");
    assert_logged("latest: two");
    assert_false(cst_logged(t, "retained"));
    cst_worker(t, 1, 1);
    assert_logged("latest: two, retained");
    assert_false(cst_logged(t, "latest: one, retained"));
}

/* ---- Faults ---- */

static void test_faults(void **state)
{
    static const struct {
        const char *label, *call, *target;
        int status;
        const char *body;
    } rows[] = {
        {"alloc", "alloc", "/large", 503, NULL},
        {"format", "format", "/format", 503, NULL},
        {"on_close", "on_close", "/never", 503, NULL},
        {"req_timer", "req_timer", "/later", 503, NULL},
        {"offload", "offload", "/work", 503, NULL},
        {"publish", "publish", "/publish", 200, "-1\n"},
        {"publish_applied", "publish_applied", "/applied", 200, "refused -1\n"},
        {"call", "call", "/ask?to=0", 200, "refused -1\n"},
        {"zone_lock", "zone_lock", "/lock", 500, NULL},
        {"detach", "detach", "/subscribe", 503, NULL},
        {"group_send", "group_send", "/tell", 200, "-3\n"},
        {"send", "send", "/pieces?n=5", 200, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        cst_fail(t, rows[i].call, 1);
        cst_answer a = cst_get(t, rows[i].target);
        if (a.status != rows[i].status || !a.whole ||
            (rows[i].body && !cst_is(a.body, rows[i].body)))
            fail_msg("%s: got %d \"%.*s\"", rows[i].label, a.status, CS_F(a.body));
        if (!cst_fail(t, rows[i].call, 0))
            fail_msg("%s: the call was not made", rows[i].label);
    }
    assert_logged("waits 1"); /* of the last row */
    printf("rows: %zu\n", COUNT(rows));
}

static void test_the_kth_fails(void **state)
{
    (void)state;
    assert_int_equal(cst_fail(t, "publish", 3), 0);
    cst_expect(cst_get(t, "/publish"), 200, "0\n");
    cst_expect(cst_get(t, "/publish"), 200, "0\n");
    cst_expect(cst_get(t, "/publish"), 200, "-1\n");
    cst_expect(cst_get(t, "/publish"), 200, "0\n");
    assert_int_equal(cst_fail(t, "publish", 0), 4);
}

/* ---- Streams ---- */

static void test_streams(void **state)
{
    (void)state;
    cst_req *a = cst_begin(t, "GET", "/subscribe", NULL, "");
    cst_req *b = cst_begin(t, "GET", "/subscribe", NULL, "");
    cst_run(t);
    cst_answer so_far = cst_so_far(a);
    assert_int_equal(so_far.status, 200);
    assert_false(so_far.whole);
    assert_text(so_far.body, ": hi\n\n");
    assert_text(cst_field(&so_far, "Content-Type"), "text/event-stream");
    cst_expect(cst_get(t, "/subscribe"), 503, NULL); /* the group is full */
    assert_int_equal(cst_counter(t, "closed_total"), 1);
    cst_expect(cst_get(t, "/tell"), 200, "0\n");
    assert_text(cst_so_far(a).body, ": hi\n\ndata: 2\n\n");
    assert_text(cst_so_far(b).body, ": hi\n\ndata: 2\n\n");
    cst_abort(b);
    cst_run(t);
    assert_int_equal(cst_counter(t, "closed_total"), 2);
    cst_expect(cst_get(t, "/tell"), 200, "0\n");
    assert_text(cst_so_far(a).body, ": hi\n\ndata: 2\n\ndata: 1\n\n");
}

static void test_move(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/subscribe", NULL, "");
    cst_req *other = cst_begin(t, "GET", "/subscribe", NULL, "");
    cst_req *never = cst_begin(t, "GET", "/never", NULL, "");
    cst_run(t);
    assert_int_equal(cst_move(never), CS_DECLINED);
    assert_int_equal(cst_move(q), CS_OK);
    assert_logged("adopted: saved");
    assert_false(cst_so_far(q).closed);
    assert_text(cst_so_far(q).body, ": hi\n\ndata: moved\n\n");
    cst_expect(cst_get(t, "/who"), 200, "1 of 1, life 2, seen 1\n");
    cst_expect(cst_get(t, "/tell"), 200, "0\n");
    assert_text(cst_so_far(q).body, ": hi\n\ndata: moved\n\ndata: 1\n\n");
    assert_int_equal(cst_move(q), CS_OK);
    assert_int_equal(cst_move(other), CS_DECLINED);
    assert_int_equal(cst_counter(t, "closed_total"),
                     4); /* all three with the first life, q with the second */
    cst_abort(q);
    cst_run(t);
    assert_int_equal(cst_counter(t, "closed_total"), 5);
}

/* ---- What ends a test ---- */

static void open_nothing(void)
{
    cst_open("./nothing.so");
}
static void open_bad_settings(void)
{
    cst_open("./probe.so", "greeting = bad\n");
}
static void open_failing_start(void)
{
    cst_open("./probe.so", "refuse_start = on\n");
}
static void open_twice(void)
{
    cst_open("./probe.so");
    cst_open("./probe.so");
}
static void open_too_many(void)
{
    cst_open("./probe.so", NULL, .worker = 3, .workers = 2);
}
static void expect_another(void)
{
    struct cst *own = cst_open("./probe.so");
    cst_expect(cst_get(own, "/"), 201, "hello\n");
}
static void expect_another_body(void)
{
    struct cst *own = cst_open("./probe.so");
    cst_expect(cst_get(own, "/"), 200, "goodbye\n");
}
static void ask_the_primary(void)
{
    cst_get(cst_open("./probe.so", NULL, .primary = 1), "/");
}
static void name_no_topic(void)
{
    cst_message(cst_open("./probe.so"), 0, "probe.nothing", "x");
}
static void name_no_process(void)
{
    cst_message(cst_open("./probe.so"), 2, "probe.note", "x");
}
static void name_no_counter(void)
{
    cst_counter(cst_open("./probe.so"), "nothing_total");
}
static void name_no_module(void)
{
    cst_counter(cst_open("./probe.so"), "nobody.nothing_total");
}
static void name_no_zone(void)
{
    cst_zone(cst_open("./probe.so"), "nothing");
}
static void name_no_call(void)
{
    cst_fail(cst_open("./probe.so"), "nothing", 1);
}
static void name_a_server_with_a_path(void)
{
    cst_server(cst_open("./probe.so"), "http://a.test/path");
}
static void name_a_server_with_tls(void)
{
    cst_serve(cst_open("./probe.so"), "https://a.test/", 200, NULL, "x");
}
static void name_no_url(void)
{
    cst_server(cst_open("./probe.so"), "a.test");
}
static void name_no_name(void)
{
    cst_server_is(cst_open("./probe.so"), "http://10.0.0.1", CST_NO_NAME);
}
static void serve_no_status(void)
{
    cst_serve(cst_open("./probe.so"), "http://a.test", 100, NULL, "x");
}
static void reply_to_nobody(void)
{
    cst_reply(cst_open("./probe.so"), 0, 200, NULL, "x");
}
static void leave_twice(void)
{
    struct cst *own = cst_open("./probe.so", NULL, .workers = 2);
    cst_leave(own, 2, 0);
    cst_leave(own, 2, 0);
}

static void use_what_has_ended(void)
{
    struct cst *own = cst_open("./probe.so");
    cst_get(own, "/keep");
    cst_get(own, "/use-kept");
}
static void call_from_a_thread(void)
{
    cst_get(cst_open("./probe.so"), "/elsewhere");
}
static void crash(void)
{
    cst_get(cst_open("./probe.so"), "/crash");
}

/* What it says, and whether it aborts. */
static int run_apart(void (*run)(void), char *said, size_t room)
{
    int out[2], status;
    ssize_t n;
    size_t got = 0;
    assert_int_equal(pipe(out), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        signal(SIGABRT, SIG_DFL);
        dup2(out[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(out[1]);
    while (got < room - 1 && (n = read(out[0], said + got, room - 1 - got)) > 0)
        got += (size_t)n;
    said[got] = '\0';
    close(out[0]);
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static size_t count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Any number of them may be opened, one after the other. */
static void test_descriptors(void **state)
{
    (void)state;
    cst_close(t);
    const size_t before = count_descriptors();
    for (int i = 0; i < 5; i++) {
        cst_close(cst_open("./probe.so"));
        assert_non_null(cst_check("./probe.so", "greeting = bad\n"));
        assert_non_null(cst_check("./nothing.so", NULL));
    }
    assert_int_equal(count_descriptors(), before);
    t = cst_open("./probe.so");
}

static void test_ends(void **state)
{
    static const struct {
        const char *label;
        void (*run)(void);
        const char *says;
    } rows[] = {
        {"no module", open_nothing, "there is no such file"},
        {"bad settings", open_bad_settings, "nobody wants to hear that"},
        {"a start hook that fails", open_failing_start, "its start hook has failed"},
        {"two at once", open_twice, "cst_close comes before the next cst_open"},
        {"worker 3 of 2", open_too_many, "there is no worker 3 of 2"},
        {"another status", expect_another, "expected: 201"},
        {"another body", expect_another_body, "goodbye"},
        {"what it was, with the log", expect_another, "log: info a worker starts as 1"},
        {"where it was", expect_another, "kit_test.c:"},
        {"a request to the primary", ask_the_primary, "the primary takes no requests"},
        {"no topic", name_no_topic, "there is no topic \"probe.nothing\""},
        {"no process", name_no_process, "there is no process 2"},
        {"no counter", name_no_counter, "has no counter \"nothing_total\""},
        {"no module of a counter", name_no_module, "there is no such module in this test"},
        {"no zone", name_no_zone, "has no zone \"nothing\""},
        {"no such call", name_no_call, "\"nothing\" is none of the calls that can fail"},
        {"a server with a path", name_a_server_with_a_path, "has a path"},
        {"a server with TLS", name_a_server_with_tls, "https is not spoken"},
        {"no URL", name_no_url, "\"a.test\" does not begin with"},
        {"no name", name_no_name, "has an address and no name"},
        {"no status", serve_no_status, "100 is not the status of an answer"},
        {"a request that nobody has made", reply_to_nobody, "there is none with the number 0"},
        {"who is not there", leave_twice, "process 2 is not there"},
        {"a request that has ended", use_what_has_ended, "with a request that has ended"},
        {"another thread", call_from_a_thread, "from another thread"},
        {"a crash", crash, "cst: this was in handler of the module probe"},
        {"a crash, with the log", crash, "a worker starts as 1"},
    };
    static char said[20000];
    (void)state;
    cst_close(t);
    t = NULL;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (!run_apart(rows[i].run, said, sizeof said) || !strstr(said, rows[i].says))
            fail_msg("%s: no abort with \"%s\", but: %s", rows[i].label, rows[i].says, said);
    t = cst_open("./probe.so");
    printf("rows: %zu\n", COUNT(rows));
}

/* ---- ---- */

static void test_log(void **state)
{
    (void)state;
    assert_text(cst_log(t, 0), "info a worker starts as 1 module=probe");
    assert_null(cst_log(t, 1000).p);
    assert_true(cst_logged(t, "starts as 1"));
    assert_false(cst_logged(t, "starts as 2"));
}

static void make_root(void)
{
    if (!mkdtemp(root))
        exit(1);
    int folder = open(root, O_RDONLY | O_DIRECTORY);
    int fd = openat(folder, "file.txt", O_WRONLY | O_CREAT, 0644);
    if (write(fd, "in a file\n", 10) != 10)
        exit(1);
    close(fd);
    close(folder);
}

static void remove_root(void)
{
    int folder = open(root, O_RDONLY | O_DIRECTORY);
    unlinkat(folder, "file.txt", 0);
    close(folder);
    rmdir(root);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_raw),
        TEST(test_answer),
        TEST(test_root),
        TEST(test_settings),
        TEST(test_check),
        TEST(test_chain),
        TEST(test_time),
        TEST(test_several),
        TEST(test_slow),
        TEST(test_stuck),
        TEST(test_abort),
        TEST(test_body_in_pieces),
        TEST(test_large),
        TEST(test_jobs),
        TEST(test_processes),
        TEST(test_primary),
        TEST(test_failed_start),
        TEST(test_drain),
        TEST(test_messages),
        TEST(test_published),
        TEST(test_calls),
        TEST(test_applied),
        TEST(test_members),
        TEST(test_latest),
        TEST(test_faults),
        TEST(test_the_kth_fails),
        TEST(test_streams),
        TEST(test_move),
        TEST(test_ends),
        TEST(test_log),
        TEST(test_descriptors),
    };
    go_to_own_folder();
    make_root();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_root();
    return failed;
}
