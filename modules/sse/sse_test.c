#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>
#include <stdio.h>
#include <stdlib.h>

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

/* A reload: the subscribers go to another worker, and hear on. */
static void test_move(struct cst *t)
{
    cst_req *early = cst_begin(t, "GET", "/", NULL, ""), *a;
    cst_run(t);
    assert(cst_move(early) == CS_OK); /* nothing has been said */
    assert(cst_so_far(early).body.n == 0);
    cst_expect(cst_request(t, "POST", "/", NULL, "one"), 204, "");
    a = cst_begin(t, "GET", "/", NULL, "");
    cst_run(t);
    cst_abort(early);
    cst_run(t);
    size_t id = (size_t)atoi(cst_so_far(early).body.p + 4);
    for (int i = 0; i < 3; i++) {
        assert(cst_move(a) == CS_OK);
        cst_expect(cst_request(t, "POST", "/", NULL, "two"), 204, "");
    }
    char text[200];
    snprintf(text, sizeof text,
             "id: %zu\ndata: two\n\nid: %zu\ndata: two\n\nid: %zu\ndata: two\n\n", id + 1, id + 2,
             id + 3);
    assert(cst_is(cst_so_far(a).body, text));
    cst_abort(a);
    cst_run(t);
}

/* What waits for its client has to leave first. */
static void test_slow_stays(struct cst *t)
{
    static char line[4096];
    memset(line, 'x', sizeof line);
    cst_req *slow = cst_begin(t, "GET", "/", NULL, "");
    cst_slow(slow);
    cst_run(t);
    for (int i = 0; i < 20; i++)
        cst_expect(cst_request(t, "POST", "/", NULL, (cs_str){line, sizeof line}), 204, NULL);
    assert(cst_move(slow) == CS_DECLINED);
    assert(!cst_so_far(slow).closed);
    cst_abort(slow);
    cst_run(t);
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
    test_move(t);
    test_slow_stays(t);
    test_faults(t);
    cst_close(t);
}
