#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

int main(void)
{
    struct cst *t = cst_open("./headers.so", "security = on\n"
                                             "set = X-One: 1, Content-Type: text/x\n"
                                             "add = \"Link: a, b\"\n    Link: c\n"
                                             "remove = X-Two\n");
    cst_answer a = cst_expect(cst_get(t, "/"), 200, "ok\n");
    assert(cst_is(cst_field(&a, "X-One"), "1"));
    assert(cst_is(cst_field(&a, "Content-Type"), "text/x"));
    assert(cst_is(cst_field(&a, "Link"), "a, b"));
    assert(cst_is(cst_field(&a, "X-Frame-Options"), "SAMEORIGIN"));
    a = cst_get(t, "/%zz"); /* a page of the server, before any route is known */
    assert(a.status == 400);
    cst_fail(t, "format", 1);
    cst_expect(cst_get(t, "/"), 500, NULL);
    cst_close(t);
    assert(strstr(cst_check("./headers.so", "set = Date: today\n"), "the server's own"));
    assert(strstr(cst_check("./headers.so", "set = nothing\n"), "is not \"Name: value\""));
    assert(!cst_check("./headers.so", NULL));
}
