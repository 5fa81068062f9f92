/* 600 tries over 8 workers within a second, 60 a minute: 60 pass. */
#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

static int tries(struct cst *t, int n)
{
    int passed = 0;
    for (int i = 0; i < n; i++) {
        cst_answer a = cst_get(t, "/");
        passed += a.status == 200;
        if (a.status != 200)
            cst_expect(a, 429, NULL);
    }
    return passed;
}

int main(void)
{
    struct cst *t =
        cst_open("./ratelimit.so", "requests = 60\nper = 1m\n", .worker = 1, .workers = 8);
    int passed = tries(t, 75);
    for (int worker = 2; worker <= 8; worker++) {
        cst_worker(t, worker, 8);
        passed += tries(t, 75);
    }
    assert(passed == 60);
    assert(cst_counter(t, "refused_total") == 540);
    cst_answer a = cst_get(t, "/");
    assert(cst_is(cst_field(&a, "Retry-After"), "1"));
    cst_advance(t, 30000);
    assert(tries(t, 100) == 30);
    cst_fail(t, "zone_lock", 1);
    cst_expect(cst_get(t, "/"), 200, "ok\n");
    cst_close(t);
}
