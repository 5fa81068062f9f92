/* Numbers as text, against the C library. */
#include "base/digits.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check_one(uint64_t n)
{
    char got[DIGITS_MAX + 1], want[DIGITS_MAX + 20];
    snprintf(want, sizeof want, "%" PRIu64, n);
    *digits_put(got, n) = 0;
    assert_string_equal(got, want);
    snprintf(want, sizeof want, "%016" PRIx64, n);
    *digits_put_hex(got, n) = 0;
    assert_string_equal(got, want);
}

/* Around each power, and what comes of multiplying. */
static void test_all_lengths(void **state)
{
    uint64_t n = 1;

    (void)state;
    check_one(0);
    check_one(UINT64_MAX);
    for (int i = 0; i < 20; i++, n *= 10)
        for (uint64_t k = 0; k < 3; k++)
            check_one(n - 1 + k);
    for (int bit = 0; bit < 64; bit++)
        for (uint64_t k = 0; k < 3; k++)
            check_one(((uint64_t)1 << bit) - 1 + k);
    n = 1;
    for (int i = 0; i < 10000; i++)
        check_one(n = n * 6364136223846793005u + 1442695040888963407u);
}

static void test_fixed(void **state)
{
    char got[8] = "";

    (void)state;
    *digits_put_fixed(got, 42, 6) = 0;
    assert_string_equal(got, "000042");
    *digits_put_fixed(got, 0, 1) = 0;
    assert_string_equal(got, "0");
    *digits_put_fixed(got, 1234, 2) = 0;
    assert_string_equal(got, "34");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_lengths),
        cmocka_unit_test(test_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
