/* Dates that are kept are those that would be written. */
#include "serve/stamp.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_file(struct stamp *s, time_t t)
{
    char want[HTTP_DATE_LEN + 1];
    http_date_format(t, want);
    if (memcmp(stamp_file(s, t), want, HTTP_DATE_LEN) != 0)
        fail_msg("%lld: %.29s in place of %s", (long long)t, stamp_file(s, t), want);
}

/* More of them than places, each asked for again after others have taken its place. */
static void test_files(void **state)
{
    (void)state;
    struct stamp s = {0};
    assert_file(&s, 0);
    for (int round = 0; round < 3; round++)
        for (time_t i = 0; i < 300; i++)
            assert_file(&s, i % 2 ? i * 86399 : 1700000000 + i);
    assert_file(&s, 253402300799);
    printf("rows: 902\n");
}

static void assert_head(struct stamp *s)
{
    char date[HTTP_DATE_LEN + 1], want[200];
    http_date_format(clock_wall(), date);
    int n = snprintf(want, sizeof want, "HTTP/1.1 200 OK\r\nServer: cserver\r\nDate: %s\r\n", date);
    assert_int_equal(n, STAMP_LEN);
    assert_memory_equal(stamp_head(s), want, STAMP_LEN);
}

static void test_head(void **state)
{
    (void)state;
    struct stamp s = {0};
    clock_freeze();
    for (int i = 0; i < 50; i++) {
        assert_head(&s);
        clock_advance(i * 100);
    }
    clock_thaw();
    assert_head(&s);
    assert_memory_equal(stamp_head(&s) + STAMP_LEN - STAMP_DATE, "Date: ", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_head)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
