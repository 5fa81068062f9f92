#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

/* ann:open, and the same with `openssl passwd -6 -salt salt open`. */
#define PLAIN "users = ann:open, bob:sesame\n"

static cst_answer ask(struct cst *t, const char *authorization)
{
    return cst_request(t, "GET", "/", authorization, "");
}

int main(void)
{
    struct cst *t = cst_open("./auth.so", PLAIN "realm = Here\n");
    cst_answer a = cst_expect(cst_get(t, "/"), 401, NULL);
    assert(cst_is(cst_field(&a, "WWW-Authenticate"), "Basic realm=\"Here\", charset=\"UTF-8\""));
    cst_expect(ask(t, "Authorization: Basic YW5uOm9wZW4="), 200, "ok\n");     /* ann:open */
    cst_expect(ask(t, "Authorization: Basic YW5uOnNlc2FtZQ=="), 401, NULL);   /* ann:sesame */
    cst_expect(ask(t, "Authorization: Basic Ym9iOnNlc2FtZQ=="), 200, "ok\n"); /* bob:sesame */
    cst_expect(ask(t, "Authorization: Basic ZXZlOm9wZW4="), 401, NULL);       /* eve:open */
    cst_expect(ask(t, "Authorization: Basic ???"), 401, NULL);
    cst_expect(ask(t, "Authorization: Bearer YW5uOm9wZW4="), 401, NULL);
    for (unsigned k = 1; k < 3; k++) {
        cst_fail(t, "alloc", k);
        cst_expect(ask(t, "Authorization: Basic YW5uOm9wZW4="), 503, NULL);
    }
    cst_close(t);
    assert(strstr(cst_check("./auth.so", "users = ann\n"), "is not name:password"));
    assert(strstr(cst_check("./auth.so", "users = ann:a, bob:$6$salt$hash\n"), "the 2. one"));
    assert(strstr(cst_check("./auth.so", NULL), "users"));
}
