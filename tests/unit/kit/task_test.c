/* Tasks, under the clock of the kit: the module waiter.c beside this file waits in every way there is. */
#include <cserver/test.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct cst *t;

static int set_up(void **state)
{
    (void)state;
    t = cst_open("./waiter.so", "[module:waiter]\n[route:all]\nmatch = /\nhandler = waiter, ok\n"
                                "handler_timeout = 60s\n");
    return 0;
}

/* Every task has come to its end. */
static int tear_down(void **state)
{
    (void)state;
    cst_run(t);
    assert_int_equal(cst_counter(t, "begun_total"), cst_counter(t, "ended_total"));
    cst_close(t);
    return 0;
}

/* ---- Waiting ---- */

static void test_answers(void **state)
{
    static const struct {
        const char *label, *method, *target, *body;
        int status;
        const char *want; /* NULL: any */
        int64_t ms;
    } rows[] = {
        {"no wait", "GET", "/deep?n=1", "", 200, "0\n", 0},
        {"naps", "GET", "/nap?ms=100", "", 200, NULL, 300},
        {"no body", "GET", "/upload", "", 200, "0 bytes\n", 0},
        {"a body", "POST", "/upload", "abc", 200, "3 bytes\n", 0},
        {"a body, with a pause", "POST", "/upload?pause=50", "abc", 200, "3 bytes\n", 50},
        {"in the access hook", "POST", "/upload?door=30", "abc", 200, "3 bytes\n", 30},
        {"not let in", "GET", "/upload?door=7", "", 403, NULL, 7},
        {"declines", "GET", "/wait?then=2", "", 200, "ok\n", 10},
        {"a status", "GET", "/wait?then=404", "", 404, NULL, 10},
        {"no answer", "GET", "/wait", "", 500, NULL, 10},
        {"goes elsewhere", "GET", "/jump", "", 200, NULL, 13},
        {"cannot proceed", "GET", "/proceed", "", 403, NULL, 10},
        {"page", "GET", "/page", "", 404, NULL, 10},
        {"declines with some of the body", "POST", "/taste", "abc", 500, NULL, 10},
        {"too long", "GET", "/wait?ms=100000", "", 504, NULL, 60000},
        {"where nothing may wait", "GET", "/callback", "", 200, "-2\n", 1},
        {"answer, and on", "GET", "/after", "", 200, "first\n", 0},
        {"head", "HEAD", "/download?n=10", "", 200, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t began = cst_elapsed(t);
        cst_answer a = cst_request(t, rows[i].method, rows[i].target, NULL, rows[i].body);
        int64_t ms = cst_elapsed(t) - began;
        if (a.status != rows[i].status || !a.whole || ms < rows[i].ms || ms > rows[i].ms + 10 ||
            (rows[i].want && !cst_is(a.body, rows[i].want)))
            fail_msg("%s: got %d \"%.*s\" after %lld ms", rows[i].label, a.status, CS_F(a.body),
                     (long long)ms);
    }
    print_message("rows: %zu\n", COUNT(rows));
    assert_true(cst_logged(t, "cs_sleep was called where nothing may wait"));
    assert_true(cst_logged(t, "declined after it had been given some of the body"));
}

static void test_work_on_a_thread(void **state)
{
    (void)state;
    cst_expect(cst_get(t, "/errand"), 200, "42\n");
    cst_fail(t, "await_offload", 1);
    cst_answer a = cst_get(t, "/errand");
    assert_int_equal(a.status, 503);
    assert_int_equal(cst_counter(t, "worked_total"), 1);
}

static void test_body_comes_as_it_is_asked_for(void **state)
{
    char piece[5000];
    (void)state;
    memset(piece, 'p', sizeof piece);
    for (int chunked = 0; chunked < 2; chunked++) {
        cst_req *q =
            cst_begin(t, "POST", "/upload?pause=10",
                      chunked ? "Transfer-Encoding: chunked\n" : "Content-Length: 50000\n", "");
        for (int i = 1; i <= 10; i++) {
            cst_send_body(q, i == 10, (cs_str){piece, sizeof piece});
            cst_advance(t, i % 3 ? 1 : 30);
        }
        cst_expect(cst_finish(q), 200, "50000 bytes in pieces\n");
    }
}

static void test_slow_client(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/download?n=2000", NULL, "");
    cst_slow(q);
    cst_run(t);
    assert_int_equal(cst_counter(t, "ended_total"), 0);
    size_t n = 0, more;
    while ((more = cst_read(q, 100000)) > 0)
        n += more;
    assert_true(n > 2000 * 4096);
    cst_expect(cst_finish(q), 200, NULL);
}

/* The test answers in the name of the primary. */
static void test_calls(void **state)
{
    (void)state;
    cst_req *q = cst_begin(t, "GET", "/call", NULL, "");
    cst_run(t);
    assert_int_equal(cst_published_count(t), 1);
    assert_int_equal(cst_published_at(t, 0)->how, CST_CALL);
    cst_answer_to(t, 0, "yes");
    cst_expect(cst_finish(q), 200, "yes");
    cst_expect(cst_get(t, "/call"), 504, NULL); /* nobody answers */
    cst_fail(t, "call", 1);
    cst_expect(cst_get(t, "/call"), 503, NULL);
    assert_int_equal(cst_published_at(t, 2)->result, CS_AGAIN);
    q = cst_begin(t, "GET", "/call", NULL, "");
    cst_run(t);
    cst_abort(q);
    cst_run(t);
    cst_answer_to(t, 3, "too late");
}

/* ---- Being cancelled ---- */

static const char *const waits[] = {"/nap",    "/upload",  "/upload?pause=1000", "/download?n=5000",
                                    "/errand", "/after?x", "/wait?ms=5000"};

static cst_req *begin(const char *target)
{
    bool upload = strncmp(target, "/upload", 7) == 0;
    cst_req *q =
        cst_begin(t, upload ? "POST" : "GET", target, upload ? "Content-Length: 1000\n" : NULL, "");
    if (strncmp(target, "/download", 9) == 0)
        cst_slow(q);
    if (upload)
        cst_send_body(q, 0, "some");
    return q;
}

static void test_client_goes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(waits); i++) {
        cst_req *q = begin(waits[i]);
        cst_advance(t, 5);
        cst_abort(q);
        cst_run(t);
        assert_int_equal(cst_counter(t, "begun_total"), i + 1);
        assert_int_equal(cst_counter(t, "ended_total"), i + 1);
    }
    /* All but the errand, which was over before the client went (the kit waits for jobs). */
    assert_in_range(cst_counter(t, "cancelled_total"), COUNT(waits) - 1, COUNT(waits));
}

static void test_process_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(waits); i++)
        begin(waits[i]);
    cst_advance(t, 5);
    assert_int_equal(cst_counter(t, "begun_total"), COUNT(waits));
    assert_int_equal(cst_worker(t, 1, 1), CS_OK);
    assert_int_equal(cst_counter(t, "ended_total"), COUNT(waits));
}

static void test_patience_ends(void **state)
{
    (void)state;
    cst_expect(cst_get(t, "/wait?ms=61000"), 504, NULL);
    assert_int_equal(cst_counter(t, "cancelled_total"), 1);
}

static void test_many(void **state)
{
    enum {
        MANY = 500
    };
    static cst_req *q[MANY];
    (void)state;
    for (int i = 0; i < MANY; i++)
        q[i] = cst_begin(t, "GET", "/nap?ms=10", NULL, "");
    cst_advance(t, 5);
    assert_int_equal(cst_counter(t, "begun_total"), MANY);
    assert_int_equal(cst_counter(t, "ended_total"), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(cst_finish(q[i]).status, 200);
}

int main(void)
{
    go_to_own_folder();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_work_on_a_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_body_comes_as_it_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_client_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_process_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_patience_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
