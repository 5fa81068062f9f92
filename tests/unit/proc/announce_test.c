/* Where to point a browser at. */
#include "proc/master.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const rows[][2] = {
    {"127.0.0.1:8080", "http://127.0.0.1:8080/"}, {"*:8080", "http://127.0.0.1:8080/"},
    {"0.0.0.0:8080", "http://127.0.0.1:8080/"},   {"[::]:8080", "http://[::1]:8080/"},
    {"[::1]:8080", "http://[::1]:8080/"},         {"*:80", "http://127.0.0.1/"},
    {"10.1.2.3:80", "http://10.1.2.3/"},          {"*:8180", "http://127.0.0.1:8180/"},
    {"unix:/run/x.sock", "unix:/run/x.sock"}};

static void test_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = {0};

        announce_url(rows[i][0], &out);
        if (!str_is(buf_str(&out), rows[i][1]))
            fail_msg("%s: %s", rows[i][0], out.p);
        buf_free(&out);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_urls)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
