#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

int main(void)
{
    struct cst *t = cst_open("./access.so", "deny = all\n");
    cst_expect(cst_get(t, "/"), 403, NULL);
    cst_close(t);
    t = cst_open("./access.so", "allow = all\ndeny = 192.0.2.0/24\n");
    cst_expect(cst_get(t, "/"), 200, "ok\n");
    cst_close(t);
    assert(strstr(cst_check("./access.so", "allow = nobody\n"), "no IP address"));
    assert(!cst_check("./access.so", NULL));
}
