/* Which crash is one too many. */
#include "proc/quarantine.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define MOST 20

static const struct {
    const char *label;
    unsigned limit;
    uint64_t window;
    uint64_t at[MOST];
    unsigned expect; /* the first that is one too many, from 1; 0: none */
} rows[] = {
    {"the third in time", 3, 60000, {1000, 2000, 3000}, 3},
    {"two are not enough", 3, 60000, {1000, 2000}, 0},
    {"too far apart", 3, 60000, {1000, 40000, 80000}, 0},
    {"just in time", 3, 60000, {1000, 40000, 61000}, 3},
    {"just too late", 3, 60000, {1000, 40000, 61001}, 0},
    {"the window slides", 3, 60000, {1000, 50000, 100000, 109000, 109500}, 4},
    {"one is enough", 1, 1000, {5}, 1},
    {"never", 0, 60000, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0},
    {"the most there can be", 16, 1000, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 16},
    {"the times wrap",
     3,
     10,
     {100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1300, 1400, 1500, 1600, 1601,
      1602},
     18},
};

static void test_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct ipc_module m; /* in cache lines, which the stack of ASan does not keep to */
        unsigned first = 0, n = 0;
        memset(&m, 0, sizeof m);
        for (; n < MOST && rows[i].at[n]; n++)
            if (quarantine_count(&m, rows[i].at[n], rows[i].limit, rows[i].window) && !first)
                first = n + 1;
        if (first != rows[i].expect)
            fail_msg("%s: got %u, expected %u", rows[i].label, first, rows[i].expect);
        assert_int_equal(atomic_load(&m.crashes), n);
    }
    print_message("rows: %zu\n", sizeof rows / sizeof *rows);
}

static void test_forget(void **state)
{
    (void)state;
    static struct ipc_module m;
    memset(&m, 0, sizeof m);
    assert_false(quarantine_count(&m, 1, 3, 60000));
    assert_false(quarantine_count(&m, 2, 3, 60000));
    quarantine_forget(&m);
    assert_false(quarantine_count(&m, 3, 3, 60000));
    assert_false(quarantine_count(&m, 4, 3, 60000));
    assert_true(quarantine_count(&m, 5, 3, 60000));
    assert_int_equal(atomic_load(&m.crashes), 5);
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        int status;
        bool reported, expect;
    } ends[] = {
        {"exit 0", W_EXITCODE(0, 0), false, true},
        {"exit 3", W_EXITCODE(3, 0), false, true},
        {"SIGSEGV", W_EXITCODE(0, SIGSEGV), false, true},
        {"SIGSEGV with a core", W_EXITCODE(0, SIGSEGV) | WCOREFLAG, false, true},
        {"SIGBUS", W_EXITCODE(0, SIGBUS), false, true},
        {"SIGFPE", W_EXITCODE(0, SIGFPE), false, true},
        {"SIGILL", W_EXITCODE(0, SIGILL), false, true},
        {"SIGABRT", W_EXITCODE(0, SIGABRT), true, true},
        {"SIGTRAP", W_EXITCODE(0, SIGTRAP), false, true},
        {"SIGSYS", W_EXITCODE(0, SIGSYS), false, true},
        {"SIGXFSZ", W_EXITCODE(0, SIGXFSZ), false, true},
        {"SIGKILL", W_EXITCODE(0, SIGKILL), false, false},
        {"SIGTERM", W_EXITCODE(0, SIGTERM), false, false},
        {"its report hung", W_EXITCODE(0, SIGALRM), true, true},
        {"killed in its report", W_EXITCODE(0, SIGKILL), true, true},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (quarantine_is_fault(ends[i].status, ends[i].reported) != ends[i].expect)
            fail_msg("%s", ends[i].label);
    print_message("rows: %zu\n", sizeof ends / sizeof *ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
