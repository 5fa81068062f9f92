/* Requests to other servers, which are pretended, and to routes of this one, under the clock of the kit: with callbacks and as tasks,
 * by the module asker.c beside this file. */
#include <cserver/test.h>

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define S0       "http://s0.test"
#define OK_HEAD  "HTTP/1.1 200 OK\r\n"

static const char *const ways[] = {"/task", "/callback"};

static struct cst *t;
static size_t descriptors; /* that were open before */

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

static int set_up(void **state)
{
    (void)state;
    descriptors = count_descriptors();
    t = cst_open("./asker.so", "[module:asker]\n[route:all]\nmatch = /\nhandler = asker, ok\n"
                               "handler_timeout = 100s\n");
    cst_server(t, S0);
    return 0;
}

/* Every task has come to its end, and every connection. */
static int tear_down(void **state)
{
    (void)state;
    cst_run(t);
    assert_int_equal(cst_counter(t, "begun_total"), cst_counter(t, "ended_total"));
    cst_close(t);
    assert_int_equal(count_descriptors(), descriptors);
    return 0;
}

/* A target; lives until it is asked for the eighth time after. */
static const char *at(const char *way, const char *fmt, ...)
{
    static char room[8][3000];
    static unsigned turn;
    char *z = room[turn++ % 8];
    va_list ap;
    va_start(ap, fmt);
    int n = snprintf(z, sizeof room[0], "%s?", way);
    vsnprintf(z + n, sizeof room[0] - (size_t)n, fmt, ap);
    va_end(ap);
    return z;
}

static cst_req *begin(const char *target)
{
    cst_req *q = cst_begin(t, "GET", target, NULL, "");
    cst_run(t);
    return q;
}

/* What the module has told begins with this, and has that in it. */
static void expect(cst_req *q, const char *start, const char *part)
{
    cst_answer a = cst_finish(q);
    if (a.status != 200 || strncmp(a.body.p, start, strlen(start)) != 0 || !strstr(a.body.p, part))
        fail_msg("got %d \"%.*s\", expected \"%s\" with \"%s\"", a.status, CS_F(a.body), start,
                 part);
}

static const cst_fetched *last(void)
{
    assert_true(cst_fetched_count(t) > 0);
    return cst_fetched_at(t, cst_fetched_count(t) - 1);
}

static void reply_last(const char *bytes)
{
    cst_reply_raw(t, cst_fetched_count(t) - 1, bytes);
}

static void hang_up_last(void)
{
    cst_hang_up(t, cst_fetched_count(t) - 1);
}

/* ---- What comes back ---- */

static void test_answers(void **state)
{
    static const struct {
        const char *label, *bytes, *start, *part;
        bool ends; /* the connection, after that */
    } rows[] = {
        {"length", OK_HEAD "Content-Length: 5\r\n\r\nhello", "0 200 [] hello", "", false},
        {"status", "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", "0 404 [] no", "", false},
        {"chunked", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
         "0 200 [] abcde", "", false},
        {"to the end", OK_HEAD "\r\nrest", "0 200 [] rest", "", true},
        {"no body", "HTTP/1.1 204 No Content\r\n\r\n", "0 204 [] ", "", false},
        {"interim", "HTTP/1.1 103 Early\r\n\r\n" OK_HEAD "Content-Length: 1\r\n\r\nx", "0 200 [] x",
         "", false},
        {"cut", OK_HEAD "Content-Length: 9\r\n\r\nabc", "-9 200 [", "ended before", true},
        {"cut in a chunk", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n9\r\nabc", "-9 200 [",
         "ended before", true},
        {"cut in the head", OK_HEAD "Content-Le", "-9 0 [", "ended before", true},
        {"nothing", "", "-9 0 [s0.test:80: ", "without an answer", true},
        {"no HTTP", "hello\r\n\r\n", "-2 0 [", "", false},
        {"too long", OK_HEAD "Content-Length: 1048577\r\n\r\n", "-4 200 [", "max_body", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t way = 0; way < COUNT(ways); way++)
            for (size_t piece = 1; piece <= 200; piece += 199) {
                print_message("%s %s\n", rows[i].label, ways[way]);
                cst_req *q = begin(at(ways[way], "url=" S0 "/x"));
                size_t n = strlen(rows[i].bytes), which = cst_fetched_count(t) - 1;
                for (size_t off = 0; off < n; off += piece)
                    cst_reply_raw(
                        t, which,
                        ((cs_str){rows[i].bytes + off, n - off < piece ? n - off : piece}));
                if (rows[i].ends)
                    cst_hang_up(t, which);
                assert_true(cst_so_far(q).whole);
                expect(q, rows[i].start, rows[i].part);
            }
    assert_int_equal(cst_elapsed(t), 0);
}

static void test_what_is_sent(void **state)
{
    (void)state;
    cst_serve(t, S0 "/u", 201, "text/x", "made");
    for (size_t way = 0; way < COUNT(ways); way++) {
        cst_expect(cst_request(t, "GET",
                               at(ways[way],
                                  "url=" S0 "/u&body=words&method=PUT&headers=X-A:%%201&forward=1"),
                               "X-Mine: yes\nConnection: X-Hop\nX-Hop: 1\n", ""),
                   200, "0 201 [] made");
        const cst_fetched *f = last();
        assert_true(cst_is(f->method, "PUT") && cst_is(f->target, "/u") &&
                    cst_is(f->body, "words"));
        assert_string_equal(f->origin, S0);
        assert_true(f->whole && !f->gone);
        assert_true(cst_is(cst_fetched_field(f, "host"), "s0.test"));
        assert_true(cst_is(cst_fetched_field(f, "x-a"), "1"));
        assert_true(cst_is(cst_fetched_field(f, "x-mine"), "yes"));
        assert_true(cst_is(cst_fetched_field(f, "x-forwarded-for"), "127.0.0.1"));
        assert_null(cst_fetched_field(f, "x-hop").p);
    }
    assert_null(cst_fetched_at(t, 2));
}

static void test_answers_that_are_told_before(void **state)
{
    (void)state;
    cst_serve(t, "http://api.test:8080", 200, NULL, "root");
    cst_serve(t, "http://api.test:8080/a", 200, "text/plain", "a");
    cst_serve(t, "http://api.test:8080/a?x=1", 404, "text/plain", "x");
    cst_serve(t, "http://api.test:8080/none", 204, NULL, "");
    cst_serve(t, "http://[::1]:81/", 200, NULL, "six");
    cst_serve(t, "http://localhost:81/", 200, NULL, "here");
    static const struct {
        const char *query, *want;
    } rows[] = {
        {"url=http://api.test:8080", "0 200 [] root"},
        {"url=http://api.test:8080/", "0 200 [] root"},
        {"url=http://API.test:8080/a", "0 200 [] a"},
        {"url=http://api.test:8080/a%3Fb", "0 200 [] a"},
        {"url=http://api.test:8080/a%3Fx=1", "0 404 [] x"},
        {"url=http://api.test:8080/a&method=HEAD", "0 200 [] "},
        {"url=http://api.test:8080/a&method=POST", "0 200 [] a"},
        {"url=http://api.test:8080/none", "0 204 [] "},
        {"url=http://[::1]:81/", "0 200 [] six"},
        {"url=http://127.0.0.1:81/", "0 200 [] here"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        cst_expect(cst_get(t, at("/task", "%s", rows[i].query)), 200, rows[i].want);
    cst_serve(t, "http://api.test:8080/a", 200, "text/plain", "another");
    cst_expect(cst_get(t, at("/task", "url=http://api.test:8080/a")), 200, "0 200 [] another");
    cst_answer a = cst_get(t, at("/task", "url=http://api.test:8080/b&timeout=5"));
    cst_expect(a, 200, "-7 0 [no whole answer within 5 ms] ");
    assert_int_equal(cst_fetched_count(t), COUNT(rows) + 2);
}

/* ---- Limits ---- */

static void test_limits(void **state)
{
    static const struct {
        const char *label, *query, *bytes, *start, *part;
        int64_t ms;
        int how;
    } rows[] = {
        {"no answer", "timeout=300", "", "-7 0 [", "within 300 ms", 300, CST_UP},
        {"no answer, by default", "", "", "-7 0 [", "within 30000 ms", 30000, CST_UP},
        {"no head of a stream", "timeout=300&stream=1", "", "-7 0 [", "within 300 ms", 300, CST_UP},
        {"not whole", "timeout=300", OK_HEAD "Content-Length: 9\r\n\r\nabc", "-7 200 [", "300 ms",
         300, CST_UP},
        {"idle", "idle=70", OK_HEAD "Content-Length: 9\r\n\r\nabc", "-7 200 [", "70 ms", 70,
         CST_UP},
        {"idle stream", "idle=70&stream=1&timeout=1", OK_HEAD "Content-Length: 9\r\n\r\nabc",
         "-7 200 [", "] 3 bytes", 70, CST_UP},
        {"reads nothing", "timeout=50", "", "-7 0 [", "50 ms", 50, CST_STALLED},
        {"silent", "connect=40", "", "-7 0 [", "no answer", 40, CST_SILENT},
        {"silent, by default", "", "", "-7 0 [", "no answer", 5000, CST_SILENT},
        {"silent for longer than all of it", "timeout=30", "", "-7 0 [", "no whole", 30,
         CST_SILENT},
        {"refuses", "", "", "-9 0 [", "Connection refused", 0, CST_REFUSES},
        {"no name", "", "", "-9 0 [s0.test:80: ", "no such host", 0, CST_NO_NAME},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t way = 0; way < COUNT(ways); way++) {
            print_message("%s %s\n", rows[i].label, ways[way]);
            cst_advance(t, 10000); /* the address is looked up again */
            cst_server_is(t, S0, rows[i].how);
            int64_t began = cst_elapsed(t);
            cst_req *q = begin(at(ways[way], "url=" S0 "/&%s", rows[i].query));
            if (rows[i].bytes[0])
                reply_last(rows[i].bytes);
            if (rows[i].ms) {
                cst_advance(t, rows[i].ms - 1);
                assert_int_equal(cst_so_far(q).status, 0);
                cst_advance(t, 1);
            }
            assert_true(cst_so_far(q).whole);
            assert_int_equal(cst_elapsed(t), began + rows[i].ms);
            expect(q, rows[i].start, rows[i].part);
        }
}

static void test_servers_that_the_test_has_not_named(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++) {
        expect(begin(at(ways[way], "url=http://db.test:5/x")), "-9 0 [",
               "cst_server(t, \"http://db.test:5\")");
        expect(begin(at(ways[way], "url=http://127.0.0.1/x")), "-9 0 [",
               "cst_server(t, \"http://127.0.0.1:80\")");
        expect(begin(at(ways[way], "url=http://[::1]:8/x")), "-9 0 [",
               "cst_server(t, \"http://[::1]:8\")");
        expect(begin(at(ways[way], "url=http://s0.test:81/x")), "-9 0 [", "\"http://s0.test:81\"");
    }
    assert_int_equal(cst_elapsed(t), 0);
    assert_int_equal(cst_fetched_count(t), 0);
    cst_serve(t, "http://db.test:5/x", 200, NULL, "now");
    cst_expect(cst_get(t, at("/task", "url=http://db.test:5/x")), 200, "0 200 [] now");
}

/* ---- Connections ---- */

static void test_connections_are_kept(void **state)
{
    (void)state;
    cst_serve(t, S0 "/", 200, NULL, "x");
    for (int i = 0; i < 4; i++)
        cst_expect(cst_get(t, at(ways[i % 2], "url=" S0 "/")), 200, "0 200 [] x");
    assert_int_equal(last()->connection, 0);
    cst_advance(t, 29999);
    assert_false(last()->gone);
    cst_advance(t, 1);
    assert_true(last()->gone);
    cst_expect(cst_get(t, at("/task", "url=" S0 "/")), 200, "0 200 [] x");
    assert_int_equal(last()->connection, 1);
    hang_up_last(); /* while nobody uses it */
    cst_expect(cst_get(t, at("/task", "url=" S0 "/")), 200, "0 200 [] x");
    assert_int_equal(last()->connection, 2);
    reply_last("unasked");
    assert_true(last()->gone);
    cst_server_is(t, S0, CST_REFUSES);
    cst_req *q = begin(at("/task", "url=" S0 "/"));
    expect(q, "-9 0 [", "refused");
}

static void test_a_kept_connection_that_was_closed(void **state)
{
    static const struct {
        const char *method, *start;
        size_t requests;
    } rows[] = {{"GET", "0 200", 3}, {"PUT", "0 200", 3}, {"POST", "-9 0", 2}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t way = 0; way < COUNT(ways); way++) {
            size_t before = cst_fetched_count(t);
            const char *target =
                at(ways[way], "url=" S0 "/%zu%zu&method=%s", i, way, rows[i].method);
            cst_req *q = begin(target);
            cst_reply(t, before, 200, NULL, "one");
            expect(q, "0 200 [] one", "");
            q = begin(target);
            assert_int_equal(cst_fetched_at(t, before)->connection,
                             cst_fetched_at(t, before + 1)->connection);
            cst_hang_up(t, before + 1);
            if (rows[i].requests == 3) {
                assert_int_not_equal(last()->connection, cst_fetched_at(t, before)->connection);
                cst_reply(t, before + 2, 200, NULL, "two");
            }
            expect(q, rows[i].start, "");
            assert_int_equal(cst_fetched_count(t), before + rows[i].requests);
            cst_server_is(t, S0, CST_REFUSES);
            cst_run(t);
            cst_server(t, S0);
        }
}

static void test_answers_that_come_too_early_are_the_end_of_the_connection(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++) {
        cst_server_is(t, S0, CST_STALLED);
        cst_req *q = begin(at(ways[way], "url=" S0 "/early&up=200"));
        cst_server(t, S0);
        cst_run(t);
        assert_true(last()->whole);
        cst_reply(t, cst_fetched_count(t) - 1, 413, NULL, "no");
        expect(q, "0 413 [] no", "");
    }
}

/* ---- Bodies, both ways ---- */

static char large[1 << 20];

static void test_a_stream_waits_for_who_takes_it(void **state)
{
    (void)state;
    memset(large, 'l', sizeof large);
    for (size_t way = 0; way < COUNT(ways); way++) {
        cst_req *q = begin(at(ways[way], "url=" S0 "/&stream=1&pause=5"));
        size_t which = cst_fetched_count(t) - 1;
        cst_reply(t, which, 200, NULL, ((cs_str){large, sizeof large}));
        size_t waiting = cst_fetched_at(t, which)->waiting;
        assert_true(waiting > sizeof large / 2);
        cst_advance(t, 4);
        assert_int_equal(cst_fetched_at(t, which)->waiting, waiting);
        cst_advance(t, 100);
        assert_true(cst_fetched_at(t, which)->waiting < waiting);
        expect(q, "0 200 [] 1048576 bytes", "");
        cst_abort(begin(at(ways[way], "url=" S0 "/&stream=1&pause=5")));
        cst_run(t);
    }
}

static void test_a_body_that_follows(void **state)
{
    static const char *const lengths[] = {"", "&len=819200", "&len=5000"};
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++)
        for (size_t i = 0; i < COUNT(lengths); i++) {
            uint64_t drained = cst_counter(t, "drained_total");
            cst_server_is(t, S0, CST_STALLED);
            cst_req *q = begin(at(ways[way], "url=" S0 "/&up=100%s", lengths[i]));
            if (i == 2) {
                expect(q, "-2 0 [its body is not", "body_len");
                continue;
            }
            cst_advance(t, 1000);
            assert_int_equal(cst_counter(t, "drained_total"), drained);
            cst_server(t, S0);
            cst_run(t);
            assert_true(last()->whole);
            assert_int_equal(last()->body.n, 819200);
            assert_int_equal(cst_counter(t, "drained_total") > drained, way == 1);
            cst_reply(t, cst_fetched_count(t) - 1, 200, NULL, "taken");
            expect(q, "0 200 [] taken", "");
        }
}

static void test_a_server_that_takes_no_more(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++) {
        cst_server_is(t, S0, CST_STALLED);
        cst_req *q = begin(at(ways[way], "url=" S0 "/&up=100"));
        cst_server_is(t, S0, CST_REFUSES);
        expect(q, "-9 0 [", "");
        cst_server(t, S0);
        q = begin(at(ways[way], "url=" S0 "/&up=2"));
        cst_server_is(t, S0, CST_STALLED);
        hang_up_last();
        expect(q, "-9 0 [", "without an answer");
    }
}

static void test_data_that_is_refused(void **state)
{
    (void)state;
    cst_serve(t, S0 "/", 200, NULL, "some");
    expect(begin(at("/callback", "url=" S0 "/&stream=1&refuse=1")), "-2 200 [", "wants no more");
}

/* ---- Several at once ---- */

static cst_req *ask_three(const char *also, int64_t ms)
{
    cst_server(t, "http://s1.test");
    cst_server(t, "http://s2.test");
    return begin(at("/all", "n=3&ms=%lld%s", (long long)ms, also));
}

static void test_all(void **state)
{
    (void)state;
    cst_req *q = ask_three("", 200);
    for (size_t i = 0; i < 3; i++) {
        cst_advance(t, 10);
        assert_int_equal(cst_so_far(q).status, 0);
        cst_reply(t, 2 - i, 200, NULL, i ? "b" : "a");
    }
    assert_int_equal(cst_elapsed(t), 30);
    assert_true(cst_so_far(q).whole); /* all are in: nobody waits for the 200 ms */
    cst_expect(cst_finish(q), 200, "3: b b a");

    q = ask_three("", 200);
    cst_reply(t, 3, 200, NULL, "in time");
    cst_advance(t, 199);
    assert_int_equal(cst_so_far(q).status, 0);
    cst_advance(t, 1);
    assert_true(cst_so_far(q).whole);
    cst_expect(cst_finish(q), 200, "1: in time - -");
    cst_reply(t, 4, 200, NULL, "late");
    assert_true(cst_fetched_at(t, 4)->gone && cst_fetched_at(t, 5)->gone);

    cst_server_is(t, "http://s1.test", CST_REFUSES);
    cst_serve(t, "http://s2.test/", 200, NULL, "two");
    q = begin(at("/all", "n=3&ms=200&twice=1"));
    cst_reply(t, cst_fetched_count(t) - 2, 200, NULL, "one");
    cst_expect(cst_finish(q), 200, "4: one ! two one");
    q = begin(at("/all", "n=3&ms=0"));
    cst_expect(cst_finish(q), 200, "0: - - -");
}

static void test_all_with_callbacks(void **state)
{
    (void)state;
    cst_req *q = ask_three("&also=count", 200);
    for (size_t i = 0; i < 3; i++)
        cst_reply(t, i, 200, NULL, "x");
    cst_expect(cst_finish(q), 200, "3: x x x");
    assert_int_equal(cst_counter(t, "called_total"), 3);

    /* One ends the others: they count as over, and are nobody's. */
    q = ask_three("&also=end", 200);
    cst_reply(t, 3, 200, NULL, "x");
    assert_true(cst_so_far(q).whole);
    cst_expect(cst_finish(q), 200, "3: x ! !");
    assert_int_equal(cst_counter(t, "called_total"), 4);

    /* One goes elsewhere, so the task that waits for all is over. */
    for (size_t i = 0; i < 2; i++) {
        q = ask_three("&also=jump", 200);
        cst_reply(t, cst_fetched_count(t) - 1 - i, 200, NULL, "x");
        cst_expect(cst_finish(q), 200, "plain");
    }
}

static void test_all_are_left(void **state)
{
    (void)state;
    cst_abort(ask_three("", 200));
    cst_run(t);
    for (size_t i = 0; i < 3; i++)
        assert_true(cst_fetched_at(t, i)->gone);
    cst_req *q = ask_three("", 100000000);
    cst_advance(t, 30000); /* their own limits */
    cst_expect(cst_finish(q), 200, "3: ! ! !");
}

/* ---- Somebody goes ---- */

/* A request that stands still at that stage. */
static cst_req *stand(size_t stage, const char *way)
{
    cst_server_is(t, S0, stage == 0 ? CST_SILENT : stage == 1 ? CST_STALLED : CST_UP);
    cst_req *q = begin(at(way, "url=" S0 "/%s",
                          stage == 1   ? "&up=100"
                          : stage == 4 ? "&stream=1"
                          : stage == 5 ? "&stream=1&pause=1000"
                                       : ""));
    if (stage >= 3)
        reply_last(OK_HEAD "Content-Length: 9\r\n\r\nabc");
    return q;
}

#define STAGES                                                                                     \
    6 /* connecting, sending, no answer, half an answer, half a stream, a piece not taken */

static void test_the_client_goes(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++)
        for (size_t stage = 0; stage < STAGES; stage++) {
            size_t n = cst_fetched_count(t);
            size_t open = count_descriptors();
            cst_abort(stand(stage, ways[way]));
            cst_run(t);
            cst_server(t, S0);
            cst_run(t);
            assert_int_equal(count_descriptors(), open);
            for (; n < cst_fetched_count(t); n++)
                assert_true(cst_fetched_at(t, n)->gone);
        }
    assert_int_equal(cst_counter(t, "called_total"), 0);
    assert_int_equal(cst_counter(t, "cancelled_total"), STAGES);
}

static void test_patience_ends(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++)
        for (size_t stage = 0; stage < STAGES; stage++) {
            const char *target =
                at(ways[way], "url=" S0 "/&timeout=900000&connect=900000&idle=900000%s",
                   stage == 1   ? "&up=100"
                   : stage == 5 ? "&stream=1&pause=900000"
                                : "");
            cst_server_is(t, S0, stage == 0 ? CST_SILENT : stage == 1 ? CST_STALLED : CST_UP);
            cst_req *q = begin(target);
            if (stage >= 3)
                reply_last(OK_HEAD "Content-Length: 9\r\n\r\nabc");
            int64_t began = cst_elapsed(t);
            cst_expect(cst_finish(q), 504, NULL);
            assert_in_range(cst_elapsed(t) - began, 100000, 100010);
        }
    assert_int_equal(cst_counter(t, "called_total"), 0);
}

static void test_processes_end(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        for (size_t way = 0; way < COUNT(ways); way++) {
            for (size_t stage = 0; stage < STAGES; stage++)
                stand(stage, ways[way]);
            begin(at(ways[way], "sub=1&url=/task%%3Furl=" S0 "/"));
            cst_server_is(t, S0, CST_UP);
            begin(at(ways[way], "sub=1&url=/task%%3Furl=" S0 "/"));
        }
        if (how > 0)
            cst_drain(t);
        if (how > 1)
            cst_advance(t, 10);
        assert_int_equal(cst_worker(t, 1, 1), CS_OK);
        assert_int_equal(cst_counter(t, "begun_total"), cst_counter(t, "ended_total"));
        assert_int_equal(cst_fetched_at(t, 0)->gone, 1);
    }
    cst_serve(t, S0 "/", 200, NULL, "still");
    cst_expect(cst_get(t, at("/task", "url=" S0 "/")), 200, "0 200 [] still");
    for (size_t stage = 0; stage < STAGES; stage++)
        stand(stage, "/task");
    cst_drain(t);
    cst_worker(t, 1, 1);
}

static void test_a_draining_worker_goes_on(void **state)
{
    (void)state;
    cst_req *q = begin(at("/task", "url=" S0 "/"));
    cst_drain(t);
    cst_reply(t, 0, 200, NULL, "in the end");
    expect(q, "0 200 [] in the end", "");
}

/* ---- cs_fetch_end ---- */

static void test_it_is_ended(void **state)
{
    static const struct {
        const char *where, *query, *bytes;
    } rows[] = {
        {"head", "", OK_HEAD "Content-Length: 9\r\n\r\nabc"},
        {"head", "&stream=1", OK_HEAD "Content-Length: 9\r\n\r\nabc"},
        {"data", "&stream=1", OK_HEAD "Content-Length: 9\r\n\r\nabc"},
        {"time", "", OK_HEAD "Content-Le"},
        {"time", "&stream=1&pause=50", OK_HEAD "Content-Length: 9\r\n\r\nabc"},
        {"drain", "&up=100", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool stalled = strcmp(rows[i].where, "drain") == 0;
        char want[40];
        snprintf(want, sizeof want, "ended at %s", rows[i].where);
        cst_server_is(t, S0, stalled ? CST_STALLED : CST_UP);
        cst_req *q = begin(at("/callback", "url=" S0 "/&end=%s%s", rows[i].where, rows[i].query));
        cst_server(t, S0);
        if (!stalled)
            reply_last(rows[i].bytes);
        cst_expect(cst_finish(q), 200, want);
        assert_true(last()->gone);
    }
    assert_int_equal(cst_counter(t, "called_total"), 0);
    /* A task that waits for it goes on. */
    for (size_t i = 0; i < 2; i++) {
        int64_t began = cst_elapsed(t);
        cst_req *q = begin(at("/task", "url=" S0 "/&end=%s", i ? "time" : "head"));
        if (!i)
            reply_last(OK_HEAD "Content-Length: 9\r\n\r\nabc");
        expect(q, i ? "-5 0 [" : "-5 200 [", "");
        assert_in_range(cst_elapsed(t) - began, 0, 10);
    }
}

static void test_called_and_waited_for(void **state)
{
    (void)state;
    cst_req *q = begin(at("/task", "both=1&url=" S0 "/"));
    assert_int_equal(cst_counter(t, "called_total"), 0);
    cst_reply(t, 0, 200, NULL, "x");
    assert_int_equal(cst_counter(t, "called_total"), 1);
    expect(q, "0 200 [] x", "");
}

/* ---- The request goes elsewhere ---- */

static void test_the_request_goes_elsewhere(void **state)
{
    static const struct {
        const char *how, *want;
        int status;
    } rows[] = {{"page", NULL, 418},     {"jump", "plain", 200}, {"text", "already", 200},
                {"detach", "one ", 200}, {"fail", NULL, 502},    {"proceed", "ok\n", 200}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int sub = 0; sub < 2; sub++) {
            cst_req *q =
                begin(sub ? at("/leave", "how=%s&sub=1&url=/task%%3Furl=" S0 "/", rows[i].how)
                          : at("/leave", "how=%s&url=" S0 "/", rows[i].how));
            cst_advance(t, 10);
            cst_answer a = cst_so_far(q);
            assert_int_equal(a.status, rows[i].status);
            assert_true(!rows[i].want || cst_is(a.body, rows[i].want));
            assert_true(last()->gone);
            cst_abort(q);
        }
    assert_int_equal(cst_counter(t, "called_total"), 0);
    cst_serve(t, S0 "/door", 200, NULL, "");
    cst_serve(t, S0 "/shut", 401, NULL, "");
    cst_expect(cst_get(t, at("/plain", "door=" S0 "/door")), 200, "plain");
    cst_expect(cst_get(t, at("/plain", "door=" S0 "/shut")), 403, NULL);
    cst_abort(begin(at("/plain", "door=" S0 "/never")));
    cst_expect(cst_get(t, at("/plain", "log=" S0 "/door")), 200, "plain");
    cst_expect(cst_get(t, at("/plain", "hf=" S0 "/door")), 200, "plain");
    cst_expect(cst_get(t, at("/plain", "hf=" S0 "/never")), 200, "plain");
    cst_expect(cst_get(t, at("/after", "url=" S0 "/never")), 200, "first");
    cst_run(t);
    assert_int_equal(cst_counter(t, "called_total"), 0);
}

/* ---- Routes of this server ---- */

/* As a part of a query. */
static const char *escaped(const char *text)
{
    static char room[2][60000];
    static unsigned turn;
    char *to = room[turn++ % 2], *p = to;
    for (; *text; text++)
        p += strchr("?&%", *text) ? sprintf(p, "%%%02X", (unsigned)*text) : sprintf(p, "%c", *text);
    return to;
}

static void nest(char *to, size_t size, int deep, const char *way, const char *innermost)
{
    snprintf(to, size, "%s", innermost);
    for (int i = 0; i < deep; i++)
        snprintf(to, size, "%s?sub=1&url=%s", way, escaped(to));
}

static void test_subrequests(void **state)
{
    static char target[6000];
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++) {
        cst_expect(cst_get(t, at(ways[way], "sub=1&url=/plain")), 200, "0 200 [] plain");
        cst_expect(cst_get(t, at(ways[way], "sub=1&url=/plain&method=HEAD")), 200, "0 200 [] ");
        cst_expect(cst_get(t, at(ways[way], "sub=1&timeout=50&url=/task%%3Furl=" S0 "/")), 200,
                   "-7 0 [no whole answer within 50 ms] ");
        assert_true(last()->gone);
        nest(target, sizeof target, 2, ways[way], "/plain");
        cst_expect(cst_get(t, target), 200, "0 200 [] 0 200 [] plain");
    }
}

static void test_subrequests_with_large_bodies(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++) {
        cst_expect(cst_get(t, at(ways[way], "sub=1&url=/sink&up=100")), 200,
                   "0 200 [] 819200 bytes");
        cst_expect(cst_get(t, at(ways[way], "sub=1&url=/big&stream=1")), 200,
                   "0 200 [] 1048576 bytes");
        expect(begin(at(ways[way], "sub=1&url=/big")), "0 200 [] ", "");
        expect(begin(at(ways[way], "sub=1&url=/big&max=100000")), "-4 200 [", "");
        cst_req *q = begin(at(ways[way], "sub=1&url=/big&stream=1&pause=5"));
        assert_int_equal(cst_counter(t, "begun_total") - cst_counter(t, "ended_total"), 2 - way);
        expect(q, "0 200 [] 1048576 bytes", "");
        cst_abort(begin(at(ways[way], "sub=1&url=/big&stream=1&pause=5")));
        cst_run(t);
        assert_int_equal(cst_counter(t, "begun_total"), cst_counter(t, "ended_total"));
    }
}

/* The inner one ends the outer one while it runs. */
static void test_subrequests_that_end_whom_they_are_for(void **state)
{
    static const char *const how[] = {"end", "text", "jump"};
    (void)state;
    for (size_t i = 0; i < COUNT(how); i++) {
        cst_req *q = begin(at("/callback", "victim=1&sub=1&url=/kill%%3Fhow=%s", how[i]));
        cst_expect(cst_finish(q), 200, i == 2 ? "plain" : "killed");
        assert_int_equal(cst_counter(t, "called_total"), 0);
    }
}

static void test_subrequests_ten_deep(void **state)
{
    static char target[6000];
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++) {
        for (int deep = 10; deep <= 11; deep++) {
            uint64_t begun = cst_counter(t, "begun_total");
            nest(target, sizeof target, deep, ways[way], "/plain");
            cst_answer a = cst_get(t, target);
            assert_int_equal(a.status, 200);
            assert_int_equal(strstr(a.body.p, "10 deep") != NULL, deep == 11);
            assert_int_equal(strstr(a.body.p, "plain") != NULL, deep == 10);
            assert_int_equal(cst_counter(t, "begun_total") - begun, 11);
        }
        /* All wait for the innermost, and go with the outermost. */
        nest(target, sizeof target, 10, ways[way], "/task?url=" S0 "/");
        cst_req *q = begin(target);
        assert_false(last()->gone);
        cst_abort(q);
        cst_run(t);
        assert_true(last()->gone);
        assert_int_equal(cst_counter(t, "begun_total"), cst_counter(t, "ended_total"));
        q = begin(target);
        cst_reply(t, cst_fetched_count(t) - 1, 200, NULL, "far");
        assert_non_null(strstr(cst_finish(q).body.p, "] far"));
    }
}

static uint64_t open_streams(void)
{
    return cst_counter(t, "opened_total") - cst_counter(t, "closed_total");
}

static void test_subrequests_for_streams(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++) {
        const char *target = at(ways[way], "sub=1&url=/stream&stream=1&idle=500");
        expect(begin(target), "-7 200 [", "] 4 bytes");
        assert_int_equal(open_streams(), 0);
        cst_req *q = begin(target);
        assert_int_equal(open_streams(), 1);
        cst_abort(q);
        cst_run(t);
        assert_int_equal(open_streams(), 0);
        begin(target);
        cst_worker(t, 1, 1);
        assert_int_equal(open_streams(), 0);
        q = begin(target);
        cst_drain(t);
        cst_finish(q);
        cst_worker(t, 1, 1);
    }
}

/* ---- Many ---- */

static void test_pipelined(void **state)
{
    char raw[400], *p = raw;
    (void)state;
    for (int i = 0; i < 3; i++)
        p += sprintf(p, "GET %s?url=" S0 "/%d HTTP/1.1\r\nHost: x\r\n\r\n", ways[i % 2], i);
    cst_req *q = cst_begin_raw(t, raw);
    for (size_t i = 0; i < 3; i++) {
        cst_run(t);
        char target[8];
        snprintf(target, sizeof target, "/%zu", i);
        assert_int_equal(cst_fetched_count(t), i + 1);
        assert_true(cst_is(last()->target, target));
        cst_reply(t, i, 200, NULL, target);
    }
    cst_expect(cst_so_far(q), 200, "0 200 [] /0");
    assert_non_null(strstr(cst_rest(q).p, "[] /2"));
    cst_abort(cst_begin_raw(t, raw));
    q = cst_begin_raw(t, raw);
    cst_run(t);
    cst_abort(q);
}

static void test_many_at_once(void **state)
{
    enum {
        MANY = 200
    };
    static cst_req *q[MANY];
    size_t open = 0;
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        q[i] = cst_begin(t, "GET", at(ways[i % 2], "url=" S0 "/"), NULL, "");
    cst_run(t);
    assert_int_equal(cst_fetched_count(t), MANY);
    for (size_t i = 0; i < MANY; i++) {
        size_t which = i * 77 % MANY; /* in another order */
        if (which % 5 == 0)
            cst_abort(q[which]);
        else if (which % 5 == 1)
            cst_hang_up(t, which);
        else
            cst_reply(t, which, 200, NULL, "x");
    }
    for (size_t i = 0; i < MANY; i++) {
        open += !cst_fetched_at(t, i)->gone;
        if (i % 5)
            expect(q[i], i % 5 == 1 ? "-9 0 [" : "0 200 [] x", "");
    }
    assert_int_equal(open, 64); /* so many are kept */
    cst_serve(t, S0 "/", 200, NULL, "y");
    for (size_t i = 0; i < MANY; i++)
        q[i] = cst_begin(t, "GET", at(ways[i % 2], "url=" S0 "/"), NULL, "");
    for (size_t i = 0; i < MANY; i++)
        cst_expect(cst_finish(q[i]), 200, "0 200 [] y");
}

/* ---- Faults ---- */

static void test_faults(void **state)
{
    (void)state;
    cst_serve(t, S0 "/", 200, NULL, "x");
    for (size_t way = 0; way < COUNT(ways); way++) {
        cst_fail(t, "fetch", 2);
        cst_expect(cst_get(t, at(ways[way], "url=" S0 "/")), 200, "0 200 [] x");
        expect(begin(at(ways[way], "url=" S0 "/")), "-9 0 [cst_fail:", "");
        cst_expect(cst_get(t, at(ways[way], "url=" S0 "/")), 200, "0 200 [] x");
        assert_int_equal(cst_fail(t, "subrequest", 1), 0);
        expect(begin(at(ways[way], "sub=1&url=/plain")), "-9 0 [cst_fail:", "");
        cst_expect(cst_get(t, at(ways[way], "sub=1&url=/plain")), 200, "0 200 [] plain");
        assert_int_equal(cst_fail(t, "fetch", 0), 3);
        assert_int_equal(cst_fail(t, "subrequest", 0), 2);
    }
    assert_int_equal(cst_fetched_count(t), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers),
        TEST(test_what_is_sent),
        TEST(test_answers_that_are_told_before),
        TEST(test_limits),
        TEST(test_servers_that_the_test_has_not_named),
        TEST(test_connections_are_kept),
        TEST(test_a_kept_connection_that_was_closed),
        TEST(test_answers_that_come_too_early_are_the_end_of_the_connection),
        TEST(test_a_stream_waits_for_who_takes_it),
        TEST(test_a_body_that_follows),
        TEST(test_a_server_that_takes_no_more),
        TEST(test_data_that_is_refused),
        TEST(test_all),
        TEST(test_all_with_callbacks),
        TEST(test_all_are_left),
        TEST(test_the_client_goes),
        TEST(test_patience_ends),
        TEST(test_processes_end),
        TEST(test_a_draining_worker_goes_on),
        TEST(test_it_is_ended),
        TEST(test_called_and_waited_for),
        TEST(test_the_request_goes_elsewhere),
        TEST(test_subrequests),
        TEST(test_subrequests_with_large_bodies),
        TEST(test_subrequests_that_end_whom_they_are_for),
        TEST(test_subrequests_ten_deep),
        TEST(test_subrequests_for_streams),
        TEST(test_pipelined),
        TEST(test_many_at_once),
        TEST(test_faults),
    };
    go_to_own_folder();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
