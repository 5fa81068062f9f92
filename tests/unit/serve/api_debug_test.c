/* api_debug_test.c - module_debug looks at every call that there is: one that is added to the table must be added there. */
#include "serve/api_debug.h"
#include "serve/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

typedef void (*any_fn)(void);

static any_fn entry(const cs_api *api, size_t offset)
{
    any_fn fn;
    memcpy(&fn, (const char *)api + offset, sizeof fn);
    return fn;
}

static void every_call_is_looked_at(void **state)
{
    (void)state;
    const cs_api *plain = serve_api(), *debug = serve_api_debug();
    const size_t first = offsetof(cs_api, self);
    int n = 0;
    assert_int_equal(debug->size, plain->size);
    assert_int_equal(debug->major, plain->major);
    assert_int_equal(debug->minor, plain->minor);
    for (size_t at = first; at < sizeof(cs_api); at += sizeof(any_fn)) {
        bool free = at == offsetof(cs_api, log) || at == offsetof(cs_api, conf_error) ||
                    at == offsetof(cs_api, template_error);
        bool same = entry(plain, at) == entry(debug, at);
        if (entry(plain, at) && same != free)
            print_error("the call number %zu of the table %s\n", (at - first) / sizeof(any_fn),
                        same ? "is not looked at" : "must be free");
        assert_true(!entry(plain, at) || same == free);
        n++;
    }
    printf("rows: %d\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_is_looked_at)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
