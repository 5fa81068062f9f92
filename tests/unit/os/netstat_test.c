/* The kernel's table of names and numbers: the right column is found, and nothing in a broken table. */
#include "os/netstat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_fields(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text;
        bool good;
        uint64_t want;
    } rows[] = {
        {"first", "T: B A\nT: 1 2\n", true, 1},
        {"last", "T: A B\nT: 1 2\n", true, 2},
        {"large", "T: B\nT: 18446744073709551615\n", true, UINT64_MAX},
        {"other groups around it", "S: B\nS: 3\nT: B\nT: 4\nU: B\nU: 5\n", true, 4},
        {"a group that begins alike", "TT: B\nTT: 3\nT: B\nT: 4\n", true, 4},
        {"a field that begins alike", "T: BB B\nT: 3 4\n", true, 4},
        {"no line break at the end", "T: B\nT: 7", true, 7},
        {"no such field", "T: A C\nT: 1 2\n", false, 0},
        {"no such group", "S: B\nS: 1\n", false, 0},
        {"no numbers", "T: B\n", false, 0},
        {"too few numbers", "T: A B\nT: 1\n", false, 0},
        {"no number", "T: B\nT: x\n", false, 0},
        {"too large a number", "T: B\nT: 18446744073709551616\n", false, 0},
        {"a line without a colon", "T\nT B\nT 1\n", false, 0},
        {"nothing", "", false, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t got = 0;
        bool good = netstat_field(str_of(rows[i].text), CS_S("T"), CS_S("B"), &got);
        if (good != rows[i].good || (good && got != rows[i].want))
            fail_msg("%s: %s, %llu", rows[i].label, good ? "found" : "not found",
                     (unsigned long long)got);
    }
    print_message("rows: %zu\n", sizeof(rows) / sizeof(rows[0]));
}

static void test_of_this_machine(void **state)
{
    (void)state;
    struct netstat_listen first, second;
    if (netstat_listen(&first))
        skip(); /* no /proc here */
    assert_int_equal(netstat_listen(&second), 0);
    assert_true(second.overflows >= first.overflows && second.drops >= first.drops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
