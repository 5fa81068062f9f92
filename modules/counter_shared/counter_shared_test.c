#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

int main(void)
{
    struct cst *t = cst_open("./counter_shared.so", "repeat = off\n", .worker = 1, .workers = 2);
    for (int i = 0; i < 3; i++)
        cst_expect(cst_get(t, "/"), 200, "hello world\n");
    assert(cst_published_count(t) == 0);
    cst_worker(t, 2, 2);
    cst_expect(cst_get(t, "/"), 200, "hello world\n");
    cst_message(t, 0, "counter_shared.broadcast", "4");
    assert(cst_logged(t, "Number of requests: 4"));

    cst_primary(t);
    cst_advance(t, 1000);
    assert(cst_logged(t, "numReqs = 4"));
    cst_message(t, 1, "counter_shared.broadcast", "");
    assert(cst_is(cst_published_at(t, 0)->data, "4"));
    cst_close(t);
}
