/* Both sides of the counter: a worker that tells the primary, and the primary that adds up. */
#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

static void test_worker(void)
{
    struct cst *t = cst_open("./counter.so", NULL, .worker = 2, .workers = 4);
    cst_expect(cst_get(t, "/"), 200, "hello world\n");
    const cst_published *p = cst_published_at(t, 0);
    assert(cst_published_count(t) == 1 && strcmp(p->topic, "notifyRequest") == 0 &&
           p->to == CS_TO_PRIMARY);
    cst_message(t, 0, "broadcast", "42");
    assert(cst_logged(t, "Number of requests: 42"));
    cst_message(t, 1, "broadcast", "43"); /* only the primary knows */
    assert(!cst_logged(t, "Number of requests: 43"));
    cst_fail(t, "publish", 1);
    cst_expect(cst_get(t, "/"), 200, "hello world\n");
    cst_close(t);
}

static void test_primary(void)
{
    struct cst *t =
        cst_open("./counter.so", "interval = 1s\nrepeat = off\n", .primary = 1, .workers = 4);
    for (int worker = 1; worker <= 4; worker++)
        cst_message(t, worker, "notifyRequest", "");
    cst_message(t, CS_FROM_COMMAND, "notifyRequest", "");
    assert(cst_counter(t, "requests_total") == 4);
    cst_advance(t, 999);
    assert(!cst_logged(t, "numReqs"));
    cst_advance(t, 1);
    assert(cst_logged(t, "numReqs = 4"));
    cst_message(t, 3, "broadcast", "");
    const cst_published *p = cst_published_at(t, 0);
    assert(p && p->to == CS_TO_WORKERS && cst_is(p->data, "4"));

    cst_primary(t); /* it dies, the next one goes on */
    cst_message(t, 2, "notifyRequest", "");
    cst_advance(t, 1000);
    assert(cst_logged(t, "numReqs = 5"));
    cst_close(t);
}

int main(void)
{
    test_worker();
    test_primary();
}
