/* Tasks whose requests end in rough ways, in every order: nothing of theirs is touched afterwards, nothing is left behind, and
 * each comes to its own end. The modules are waiter.c and doorman.c beside this file. */
#include <cserver/test.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"

#define COUNT(a)  (sizeof(a) / sizeof(a)[0])
#define FOREVER   100000
#define CHUNKED   "Transfer-Encoding: chunked\n"
#define UPLOAD    "POST /upload HTTP/1.1\r\nHost: x\r\n"
#define BAD_CHUNK UPLOAD "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX\r\n"

static struct cst *t;

static const char settings[] = "[limits]\nhandler_timeout = 60s\nbody_timeout = 10s\n"
                               "[module:waiter]\n[module:doorman]\n"
                               "[route:sorry]\nmatch = = /sorry\nhandler = doorman\n"
                               "[route:own]\nmatch = = /own\nhandler = waiter\n"
                               "[route:all]\nmatch = /\nuse = doorman\nhandler = waiter, ok\n"
                               "error_pages = 504 /sorry, 409 /nap?ms=1\nmax_body = 20k\n";

static void open_all(void)
{
    static const char *const more[] = {"./doorman.so", NULL};
    t = cst_open("./waiter.so", settings, .more = more);
}

static int set_up(void **state)
{
    (void)state;
    open_all();
    return 0;
}

static void assert_all_over(const char *label)
{
    cst_run(t);
    unsigned begun = (unsigned)cst_counter(t, "begun_total");
    unsigned ended = (unsigned)cst_counter(t, "ended_total");
    if (begun != ended)
        fail_msg("%s: %u tasks have begun, %u ended", label, begun, ended);
    if (cst_logged(t, "called for a cancelled task") || cst_logged(t, "a cancelled task has"))
        fail_msg("%s: a cancelled task could do something", label);
    if (cst_logged(t, "too late") || cst_logged(t, "was ignored"))
        fail_msg("%s: the log tells of what a cancelled task tried", label);
}

static int tear_down(void **state)
{
    (void)state;
    assert_all_over("at the end");
    cst_advance(t, FOREVER);
    assert_int_equal(cst_counter(t, "closed_total"), cst_counter(t, "begun_total"));
    cst_close(t);
    return 0;
}

/* ---- Ways to wait ---- */

static const struct way {
    const char *method, *target;
    bool slow;         /* the client does not read */
    const char *field; /* of the request */
    const char *body;  /* the part of it that comes at once */
} ways[] = {
    {"GET", "/nap", false, NULL, ""},
    {"HEAD", "/nap", false, NULL, ""},
    {"GET", "/nap?knock=20", false, NULL, ""},
    {"GET", "/wait?then=2&knock=20", false, NULL, ""},
    {"POST", "/upload", false, "Content-Length: 1000\n", "some"},
    {"POST", "/upload", false, "Content-Length: 1000\nExpect: 100-continue\n", ""},
    {"POST", "/upload?pause=50", false, CHUNKED, "some"},
    {"POST", "/upload?knock=20", false, CHUNKED, "some"},
    {"GET", "/download?n=2000", true, NULL, ""},
    {"GET", "/download?n=50", false, NULL, ""},
    {"GET", "/download?n=1000&filter=1", true, NULL, ""},
    {"GET", "/download?n=20&filter=1&knock=2", false, NULL, ""},
    {"HEAD", "/download?n=50&filter=1", false, NULL, ""},
    {"GET", "/errand", false, NULL, ""},
    {"GET", "/errand?knock=2", false, NULL, ""},
    {"GET", "/after", false, NULL, ""},
    {"GET", "/story", false, NULL, ""},
    {"GET", "/stream", false, NULL, ""},
    {"GET", "/jump", false, NULL, ""},
    {"GET", "/leave", false, NULL, ""},
    {"GET", "/taken", false, NULL, ""},
    {"GET", "/page", false, NULL, ""},
    {"GET", "/fail", false, NULL, ""},
    {"GET", "/wait?ms=50&then=404", false, NULL, ""},
    {"GET", "/wait?ms=70000", false, NULL, ""},
    {"POST", "/taste", false, "Content-Length: 1000\n", "some"},
};

static cst_req *begin(const struct way *w)
{
    cst_req *q = cst_begin(t, w->method, w->target, w->field, "");
    if (w->slow)
        cst_slow(q);
    if (*w->body)
        cst_send_body(q, 0, w->body);
    return q;
}

/* The client goes after so many milliseconds, or so many bytes. */
static void test_client_goes_at_any_time(void **state)
{
    static const int64_t ms[] = {0, 1, 5, 11, 20, 21, 30, 70, 150, 250};
    static const size_t bytes[] = {1, 20, 200, 5000, 100000};
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        for (size_t k = 0; k < COUNT(ms); k++) {
            cst_req *q = begin(&ways[i]);
            if (ms[k])
                cst_advance(t, ms[k]);
            cst_abort(q);
        }
        for (size_t k = 0; k < COUNT(bytes) && !ways[i].slow; k++) {
            cst_req *q = begin(&ways[i]);
            cst_abort_at(q, bytes[k]);
            cst_advance(t, 300);
            cst_abort(q);
        }
        assert_all_over(ways[i].target);
    }
}

/* handler_timeout in each of them: an answer that had begun is not its affair. */
static void test_patience_ends_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        cst_req *q = begin(&ways[i]);
        cst_advance(t, FOREVER);
        cst_advance(t, FOREVER);
        int status = cst_so_far(q).status;
        if (!ways[i].slow && status < 200)
            fail_msg("%s: no answer", ways[i].target);
        cst_abort(q);
        assert_all_over(ways[i].target);
    }
    cst_expect(cst_get(t, "/wait?ms=61000"), 504, "a page\n");
}

/* The process ends, and begins to drain, at any time. */
static void test_process_ends_at_any_time(void **state)
{
    static const int64_t ms[] = {0, 1, 11, 21, 55, 150};
    (void)state;
    for (size_t k = 0; k < 2 * COUNT(ms); k++) {
        for (size_t i = 0; i < COUNT(ways); i++)
            begin(&ways[i]);
        cst_advance(t, ms[k / 2]);
        if (k % 2)
            cst_drain(t);
        cst_advance(t, ms[k / 2]);
        assert_int_equal(cst_worker(t, 1, 1), CS_OK);
        assert_all_over("the process has ended");
    }
}

/* ---- One by one ---- */

static void test_answers(void **state)
{
    static const struct {
        const char *label, *target;
        int status;
        const char *want;
    } rows[] = {
        {"both wait", "/nap?ms=1&knock=20", 200, NULL},
        {"not let in", "/nap?knock=3", 403, NULL},
        {"page by a task of its own module", "/fail", 409, NULL},
        {"page by another one's", "/wait?then=504", 504, "a page\n"},
        {"goes on to another module", "/wait?then=2&knock=2", 200, "ok\n"},
        {"stream", "/stream", 200, "on\n"},
        {"leaves and waits", "/leave", 200, NULL},
        {"is taken elsewhere", "/taken", 200, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        cst_answer a = cst_get(t, rows[i].target);
        if (a.status != rows[i].status || (rows[i].want && !cst_is(a.body, rows[i].want)))
            fail_msg("%s: got %d \"%.*s\"", rows[i].label, a.status, CS_F(a.body));
    }
    assert_int_equal(cst_counter(t, "doorman.let_in_total"), 2);
}

static void test_filter_takes_what_a_task_sends(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/download?n=500&filter=1", NULL, "");
    cst_slow(q);
    cst_run(t);
    assert_int_equal(cst_counter(t, "ended_total"), 0);
    size_t n = 0, more;
    while ((more = cst_read(q, 50000)) > 0)
        n += more;
    assert_true(n > 1000 * 4096);
    cst_answer a = cst_expect(cst_finish(q), 200, NULL);
    assert_int_equal(a.body.n, 1000 * 4096);
    assert_true(cst_counter(t, "doorman.refused_total") > 0);
}

/* The n-th line of the log that tells the story. */
static cs_str told(size_t n)
{
    cs_str line;
    for (size_t i = 0; (line = cst_log(t, i)).p; i++)
        if (strstr(line.p, "story: ") && n-- == 0)
            return line;
    return (cs_str){"", 0};
}

static void assert_story(const char *first, const char *second, const char *third)
{
    const char *const want[] = {first, second, third, NULL};
    for (size_t i = 0; want[i]; i++)
        if (!strstr(told(i).p, want[i]))
            fail_msg("%zu: \"%s\", not \"%s\"", i, told(i).p, want[i]);
}

static void test_order_of_its_hooks(void **state)
{
    (void)state;
    cst_expect(cst_get(t, "/story"), 200, "told\n");
    assert_story("returns 0", "on_log 200", "on_close");
}

/* What the task has is there until it has returned. */
static void test_order_of_hooks_when_the_client_goes(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/story", NULL, "");
    cst_advance(t, 5);
    cst_abort(q);
    cst_run(t);
    assert_story("on_log 499", "returns -", "on_close");
}

static void test_pipelined(void **state)
{
    (void)state;
    cst_req *q =
        cst_begin_raw(t, "GET /nap?ms=10 HTTP/1.1\r\nHost: x\r\n\r\n"
                         "POST /upload?pause=5 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                         "HEAD /download?n=3 HTTP/1.1\r\nHost: x\r\n\r\n"
                         "GET /wait?then=404 HTTP/1.1\r\nHost: x\r\n\r\n"
                         "GET /errand HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    cst_advance(t, 5);
    assert_int_equal(cst_counter(t, "begun_total"), 1);
    cst_advance(t, 500);
    cst_expect(cst_so_far(q), 200, NULL);
    assert_int_equal(cst_counter(t, "ended_total"), 5);
    cs_str rest = cst_rest(q);
    const char *bytes = strstr(rest.p, "3 bytes"), *missing = strstr(rest.p, " 404 ");
    assert_true(bytes && missing && bytes < missing && strstr(missing, "\r\n\r\n42\n"));
    cst_abort(q);
}

/* ---- Bodies ---- */

static void test_bodies_that_go_wrong(void **state)
{
    char large[30000];
    (void)state;
    memset(large, 'l', sizeof large);
    assert_int_equal(cst_raw(t, BAD_CHUNK).status, 400);
    assert_all_over("a chunk that is none");
    cst_req *q = cst_begin(t, "POST", "/upload?pause=1", CHUNKED, "");
    for (int i = 0; i < 3; i++) {
        cst_send_body(q, 0, (cs_str){large, 9000});
        cst_advance(t, 20);
    }
    assert_int_equal(cst_finish(q).status, 413);
    assert_all_over("a body that is too large");
    assert_int_equal(cst_request(t, "POST", "/upload", NULL, (cs_str){large, sizeof large}).status,
                     413);
    q = begin(&ways[4]);
    cst_advance(t, 9000);
    assert_int_equal(cst_so_far(q).status, 0);
    assert_int_equal(cst_finish(q).status, 408);
    assert_all_over("a body that does not come");
    q = cst_begin_raw(t, UPLOAD "Transfer-Encoding: chunked\r\n\r\n5\r\nab");
    cst_advance(t, 5);
    cst_abort(q);
    assert_all_over("a body that is cut");
}

static void test_expect_continue(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "POST", "/upload", "Content-Length: 3\nExpect: 100-continue\n", "");
    cst_advance(t, 5);
    assert_int_equal(cst_so_far(q).status, 0);
    cst_send_body(q, 1, "abc");
    cst_expect(cst_finish(q), 200, "3 bytes\n");
    q = cst_begin(t, "POST", "/upload?knock=7",
                  "Content-Length: 3\nExpect: 100-continue\nConnection: close\n", "");
    assert_int_equal(cst_finish(q).status, 403);
}

/* ---- At random ---- */

enum {
    ROUNDS = 300,
    CLIENTS = 6,
    STEPS = 12,
};

static uint64_t dice;

static unsigned roll(unsigned below)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % below;
}

/* What may happen next to one of them; NULL: it has gone. */
static cst_req *happen(cst_req *q, const struct way *w)
{
    switch (roll(7)) {
    case 0:
        cst_abort(q);
        return NULL;
    case 1:
        cst_abort_at(q, roll(3000));
        return NULL;
    case 2:
        if (w->slow)
            cst_read(q, roll(200000));
        break;
    case 3:
        if (*w->body)
            cst_send_body(q, 0, "more of it");
        break;
    case 4:
        cst_advance(t, roll(5) ? roll(60) : roll(70000));
        break;
    default:
        cst_advance(t, roll(30));
    }
    return q;
}

static void play(void)
{
    cst_req *q[CLIENTS] = {0};
    const struct way *w[CLIENTS] = {0};
    for (int i = 0; i < STEPS; i++) {
        unsigned k = roll(CLIENTS);
        if (q[k]) {
            q[k] = happen(q[k], w[k]);
        } else {
            w[k] = &ways[roll(COUNT(ways))];
            q[k] = begin(w[k]);
        }
    }
    if (!roll(8)) {
        assert_int_equal(cst_worker(t, 1, 1), CS_OK);
        return;
    }
    for (int k = 0; k < CLIENTS; k++)
        if (q[k])
            cst_abort(q[k]);
}

/* TASK_SEED in the environment: another game. */
static void test_at_random(void **state)
{
    const char *seed = getenv("TASK_SEED");
    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char label[60];
        dice = (seed ? strtoul(seed, NULL, 10) : 1) * 1000 + i;
        snprintf(label, sizeof label, "round %u", i);
        play();
        cst_advance(t, FOREVER);
        assert_all_over(label);
        if (i % 50 == 49) {
            cst_close(t);
            open_all();
        }
    }
}

int main(void)
{
    go_to_own_folder();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_client_goes_at_any_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_patience_ends_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_process_ends_at_any_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_filter_takes_what_a_task_sends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order_of_its_hooks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order_of_hooks_when_the_client_goes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_pipelined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bodies_that_go_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expect_continue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_at_random, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
