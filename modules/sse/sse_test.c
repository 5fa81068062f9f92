#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

static void test_chat(struct cst *t)
{
    cst_req *a = cst_begin(t, "GET", "/", NULL, ""), *b = cst_begin(t, "GET", "/", NULL, "");
    cst_run(t);
    cst_answer head = cst_so_far(a);
    assert(head.status == 200 && !head.whole);
    assert(cst_is(cst_field(&head, "Content-Type"), "text/event-stream"));
    cst_expect(cst_request(t, "POST", "/", NULL, "hello"), 204, "");
    cst_expect(cst_request(t, "POST", "/", NULL, "hello\n\ndata: me"), 400, NULL);
    assert(cst_is(cst_so_far(a).body, "id: 1\ndata: hello\n\n"));
    assert(cst_is(cst_so_far(b).body, "id: 1\ndata: hello\n\n"));
    cst_message(t, 2, "sse.news", "from afar"); /* another worker's client */
    assert(strstr(cst_so_far(b).body.p, "id: 2\ndata: from afar\n\n"));
    cst_expect(cst_get(t, "/"), 503, NULL); /* there are two already */
    cst_abort(a);
    cst_run(t);
    a = cst_begin(t, "GET", "/", "Last-Event-ID: 1\n", "");
    cst_advance(t, 15000);
    assert(cst_is(cst_so_far(a).body, "id: 2\ndata: from afar\n\n: ping\n\n"));
    cst_abort(a);
    cst_abort(b);
    cst_run(t);
}

/* Who takes nothing is let go, and the others never notice. */
static void test_slow(struct cst *t)
{
    static char news[4096];
    memset(news, 'x', sizeof news);
    cst_req *slow = cst_begin(t, "GET", "/", NULL, ""), *good = cst_begin(t, "GET", "/", NULL, "");
    cst_slow(slow);
    cst_run(t);
    for (int i = 0; i < 100; i++)
        cst_expect(cst_request(t, "POST", "/", NULL, (cs_str){news, sizeof news}), 204, NULL);
    assert(cst_so_far(good).body.n > 100 * sizeof news);
    assert(cst_finish(slow).closed);
    assert(!cst_so_far(good).closed);
}

static void test_faults(struct cst *t)
{
    cst_fail(t, "detach", 1);
    cst_expect(cst_get(t, "/"), 503, NULL);
    cst_fail(t, "publish", 1);
    cst_expect(cst_request(t, "POST", "/", NULL, "x"), 503, NULL);
    cst_expect(cst_request(t, "PUT", "/", NULL, "x"), 405, NULL);
}

int main(void)
{
    struct cst *t = cst_open("./sse.so", "max_clients = 2\n", .worker = 1, .workers = 2);
    test_chat(t);
    test_slow(t);
    test_faults(t);
    cst_close(t);
}
