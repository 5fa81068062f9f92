/* The module alone, in this process: hello_test.py asks a server. */
#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

int main(void)
{
    struct cst *t = cst_open("./hello.so");
    cst_answer a = cst_expect(cst_get(t, "/"), 200, "Hello, world!\n");
    assert(cst_is(cst_field(&a, "Content-Type"), "text/plain; charset=utf-8"));
    cst_expect(cst_request(t, "HEAD", "/", NULL, ""), 200, "");
    cst_close(t);

    t = cst_open("./hello.so", "greeting = \"100 % hello\"\n");
    cst_expect(cst_get(t, "/any?thing"), 200, "100 % hello\n");
    cst_close(t);

    assert(cst_check("./hello.so", "greting = hi\n"));
}
