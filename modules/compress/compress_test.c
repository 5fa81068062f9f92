#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

#define ALL "Content-Type: text/plain\nAccept-Encoding: zstd, br, gzip\n"

enum {
    HEAD_MOST = 10 /* what a coding begins with, and may send at once */
};

static struct cst *open_with(const char *settings)
{
    static const char *const more[] = {"./echo.so", NULL};
    return cst_open("./compress.so", settings, .more = more);
}

/* What has been sent is held back for `flush`, and not for longer. */
static void test_flush(void)
{
    struct cst *t =
        open_with("[route:all]\nmatch = /\nuse = compress\nhandler = echo\nflush = 200ms\n");
    cst_req *q = cst_begin(t, "PUT", "/", ALL "Transfer-Encoding: chunked\n", "");
    cst_send_body(q, 0, "a first line\n");
    cst_run(t);
    assert(cst_so_far(q).body.n <= HEAD_MOST);
    cst_advance(t, 150);
    cst_send_body(q, 0, "a second one\n");
    cst_run(t);
    assert(cst_so_far(q).body.n <= HEAD_MOST);
    cst_advance(t, 100);
    const size_t n = cst_so_far(q).body.n;
    assert(n > HEAD_MOST);
    cst_advance(t, 10000);
    assert(cst_so_far(q).body.n == n);
    cst_send_body(q, 1, "the last one\n");
    cst_answer a = cst_expect(cst_finish(q), 200, NULL);
    assert(a.body.n > n && cst_field(&a, "Content-Encoding").n);
    cst_close(t);
}

/* Clients that take nothing, and clients that go. */
static void test_clients(void)
{
    static char text[300000];
    struct cst *t = open_with(
        "[module:compress]\nmemory = 8m\n[route:all]\nmatch = /\nuse = compress\nhandler = echo\n");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 23);
    for (int i = 0; i < 50; i++) {
        cst_req *q = cst_begin(t, "PUT", "/", ALL "Transfer-Encoding: chunked\n", "");
        cst_slow(q);
        cst_send_body(q, 0, (cs_str){text, sizeof text});
        cst_run(t);
        assert(cst_so_far(q).status == 0 || cst_so_far(q).status == 200);
        cst_abort(q);
        cst_run(t);
    }
    cst_answer a =
        cst_expect(cst_request(t, "PUT", "/", ALL, (cs_str){text, sizeof text}), 200, NULL);
    assert(cst_field(&a, "Content-Encoding").n && a.body.n < sizeof text);
    cst_close(t);
}

int main(void)
{
    test_flush();
    test_clients();
}
