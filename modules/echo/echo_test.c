/* What cannot be made to happen in a server at will: pieces that come one by one, a client that reads nothing, a send that
 * says wait. */
#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>
#include <stdint.h>
#include <stdlib.h>

static void test_pieces(struct cst *t)
{
    cst_req *q = cst_begin(t, "POST", "/", "Transfer-Encoding: chunked\n", "");
    cst_run(t);
    assert(cst_so_far(q).status == 0);
    cst_send_body(q, 0, "one ");
    cst_run(t);
    assert(cst_is(cst_so_far(q).body, "one "));
    cst_send_body(q, 1, "two");
    cst_expect(cst_finish(q), 200, "one two");
    cst_expect(cst_request(t, "POST", "/", "Content-Type: text/x\n", "short"), 200, "short");
}

/* Nothing is lost and nothing doubled, and the upload is not read into memory either. */
static void test_slow_reader(struct cst *t)
{
    enum {
        MUCH = 1000000
    };
    char *much = malloc(MUCH);
    for (int i = 0; i < MUCH; i++)
        much[i] = (char)('a' + i / 1000 % 26);
    cst_req *q = cst_begin(t, "PUT", "/", NULL, (cs_str){much, MUCH});
    cst_slow(q);
    cst_run(t);
    assert(cst_read(q, 1000) == 1000);
    while (cst_read(q, 100000) == 100000)
        assert(!cst_so_far(q).whole);
    cst_answer a = cst_expect(cst_finish(q), 200, NULL);
    assert(a.body.n == MUCH && memcmp(a.body.p, much, MUCH) == 0);
    free(much);
}

static void test_gone(struct cst *t)
{
    cst_req *q = cst_begin(t, "PUT", "/", "Content-Length: 100000\n", "begun");
    cst_run(t);
    cst_abort(q);
    cst_run(t);
    q = cst_begin(t, "PUT", "/", "Content-Length: 100000\n", "begun");
    cst_abort_at(q, 50);
    cst_run(t);
    cst_expect(cst_get(t, "/"), 200, NULL);
}

static void test_faults(struct cst *t)
{
    cst_fail(t, "alloc", 1);
    cst_expect(cst_request(t, "POST", "/", NULL, "x"), 503, NULL);
    for (unsigned k = 1; k < 4; k++) {
        cst_fail(t, "send", k);
        cst_req *q = cst_begin(t, "POST", "/", "Transfer-Encoding: chunked\n", "");
        for (int i = 0; i < 3; i++) {
            cst_send_body(q, 0, "abc");
            cst_run(t);
        }
        cst_send_body(q, 1, "");
        cst_expect(cst_finish(q), 200, "abcabcabc");
    }
    cst_fail(t, "send", 0);
}

int main(void)
{
    struct cst *t = cst_open("./echo.so");
    test_pieces(t);
    test_slow_reader(t);
    test_gone(t);
    test_faults(t);
    cst_close(t);
}
