#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

int main(void)
{
    struct cst *t = cst_open("./heartbeat.so", "interval = 10s\nlog = on\n");
    cst_expect(cst_get(t, "/"), 200, "no beat yet\n");
    cst_primary(t);
    cst_advance(t, 35000);
    assert(cst_counter(t, "beats_total") == 4);
    assert(cst_logged(t, "beat 4") && !cst_logged(t, "beat 5"));
    cst_worker(t, 1, 1); /* a newborn one is told the last */
    cst_expect(cst_get(t, "/"), 200, "beat 4, 5000 ms ago\n");
    cst_message(t, CS_FROM_COMMAND, "heartbeat", "1234567890123456"); /* nobody else beats */
    cst_advance(t, 1);
    cst_expect(cst_get(t, "/"), 200, "beat 4, 5001 ms ago\n");
    cst_close(t);
}
