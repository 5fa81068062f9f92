/* The switch: who may move it, what moves it not, and that newborn workers know how it stands. */
#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>

#define SETTINGS                                                                                   \
    "[module:maintenance]\n[route:all]\nmatch = /\nhandler = maintenance, ok\nretry_after = "      \
    "1500ms\n"

static void is_on(struct cst *t)
{
    cst_answer a = cst_expect(cst_get(t, "/"), 503, NULL);
    assert(cst_is(cst_field(&a, "Retry-After"), "2"));
}

static void is_off(struct cst *t)
{
    cst_expect(cst_get(t, "/"), 200, "ok\n");
}

int main(void)
{
    struct cst *t = cst_open("./maintenance.so", SETTINGS, .worker = 1, .workers = 4);
    is_off(t);
    cst_message(t, CS_FROM_COMMAND, "maintenance", "on");
    is_on(t);
    assert(cst_logged(t, "on: requests get 503"));
    cst_message(t, CS_FROM_COMMAND, "maintenance", "maybe");
    is_on(t);
    assert(cst_logged(t, "\"maybe\" is refused"));
    cst_worker(t, 3, 4);
    is_on(t);
    cst_message(t, 2, "maintenance", "off");
    is_off(t);
    cst_worker(t, 2, 4);
    is_off(t);
    cst_close(t);
}
