/* The same sentence is logged now and then, and nothing is lost silently. */
#include "proc/repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_same(void **state)
{
    struct repeat r = {0};
    unsigned skipped = 99;

    (void)state;
    assert_true(repeat_say(&r, "it crashed", 1000, &skipped));
    assert_int_equal(skipped, 0);
    for (int i = 0; i < 5; i++)
        assert_false(repeat_say(&r, "it crashed", 2000, &skipped));
    assert_true(repeat_say(&r, "it crashed", 1000 + REPEAT_EVERY_MS, &skipped));
    assert_int_equal(skipped, 5);
}

static void test_other(void **state)
{
    struct repeat r = {0};
    unsigned skipped = 99;

    (void)state;
    assert_true(repeat_say(&r, "one", 1000, &skipped));
    assert_false(repeat_say(&r, "one", 1001, &skipped));
    assert_true(repeat_say(&r, "two", 1002, &skipped));
    assert_int_equal(skipped, 1);
    assert_true(repeat_say(&r, "one", 1003, &skipped));
    assert_int_equal(skipped, 0);
}

static void test_long(void **state)
{
    struct repeat r = {0};
    char text[1000];
    unsigned skipped;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(repeat_say(&r, text, 1000, &skipped));
    assert_false(repeat_say(&r, text, 1001, &skipped));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same), cmocka_unit_test(test_other),
                                       cmocka_unit_test(test_long)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
