#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>
#include <stdio.h>

int main(void)
{
    char all[20];
    struct cst *t = cst_open("./upper.so");
    cst_expect(cst_get(t, "/"), 200, "OK\n");
    cst_expect(cst_request(t, "HEAD", "/", NULL, ""), 200, "");
    cst_expect(cst_get(t, "/%zz"), 400, NULL);
    cst_close(t);

    /* A body that comes in pieces, to a client that is slow. */
    static const char *const more[] = {"./echo.so", NULL};
    t = cst_open("./upper.so", "[route:all]\nmatch = /\nuse = upper\nhandler = echo\n",
                 .more = more);
    cst_req *q =
        cst_begin(t, "PUT", "/", "Content-Type: text/plain\nTransfer-Encoding: chunked\n", "");
    cst_slow(q);
    for (int i = 0; i < 100; i++) {
        int n = snprintf(all, sizeof all, "piece %d, ", i);
        cst_send_body(q, 0, (cs_str){all, (size_t)n});
        cst_run(t);
    }
    cst_send_body(q, 1, "");
    cst_answer a = cst_expect(cst_finish(q), 200, NULL);
    assert(strncmp(a.body.p, "PIECE 0, PIECE 1, ", 18) == 0);
    assert(strcmp(a.body.p + a.body.n - 10, "PIECE 99, ") == 0);
    cst_expect(cst_request(t, "PUT", "/", "Content-Type: image/x\n", "abc"), 200, "abc");
    cst_close(t);
}
