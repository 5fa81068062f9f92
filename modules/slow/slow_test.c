/* Hours of waiting in no time. */
#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

#define SETTINGS "[limits]\nhandler_timeout = 0\n[module:slow]\ndelay = 2h\nmax_delay = 1d\n"

int main(void)
{
    struct cst *t = cst_open("./slow.so", SETTINGS);
    cst_req *q = cst_begin(t, "GET", "/", NULL, "");
    cst_req *other = cst_begin(t, "GET", "/?ms=250", NULL, "");
    cst_advance(t, 249);
    assert(cst_so_far(other).status == 0);
    cst_advance(t, 1);
    cst_expect(cst_so_far(other), 200, "Waited 250 ms.\n");
    cst_advance(t, 2 * 3600 * 1000 - 251);
    assert(cst_so_far(q).status == 0);
    cst_advance(t, 1);
    cst_expect(cst_so_far(q), 200, "Waited 7200000 ms.\n");
    cst_expect(cst_get(t, "/?ms=x"), 400, NULL);
    q = cst_begin(t, "GET", "/", NULL, "");
    cst_run(t);
    cst_abort(q);
    cst_advance(t, 3 * 3600 * 1000); /* its timer has gone with it */
    cst_fail(t, "req_timer", 1);
    cst_expect(cst_get(t, "/"), 503, NULL);
    cst_close(t);
}
