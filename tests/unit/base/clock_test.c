/* clock_test.c - the clocks stand still between two updates. */
#include "base/clock.h"

#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_clock(void **state)
{
    (void)state;
    clock_update();
    uint64_t us = clock_us(), wall = clock_wall_us();
    assert_int_equal(clock_ms(), us / 1000);
    usleep(2000);
    assert_int_equal(clock_us(), us);
    assert_true(clock_us_now() >= us + 2000);
    clock_update();
    assert_true(clock_us() >= us + 2000);
    assert_true(clock_wall_us() > wall);
    time_t now = time(NULL);
    assert_true(clock_wall() <= now + 1 && clock_wall() >= now - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
