/* The CPUs of this process, and moving to one of them. */
#include "os/cpu.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_allowed(void **state)
{
    cpu_set_t set;
    size_t n;
    unsigned *v = cpu_allowed(&n);

    (void)state;
    assert_non_null(v);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        assert_int_equal(n, CPU_COUNT(&set));
    for (size_t i = 1; i < n; i++)
        assert_true(v[i] > v[i - 1]);
    free(v);
}

/* In a child, so that this process keeps its own. */
static void test_use(void **state)
{
    size_t n;
    unsigned *v = cpu_allowed(&n);
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        size_t left;
        int rc = cpu_use(v[n - 1]);
        const unsigned *now = cpu_allowed(&left);

        _exit(rc == 0 && left == 1 && now[0] == v[n - 1] ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    free(v);
}

static void test_no_such(void **state)
{
    (void)state;
    assert_int_equal(cpu_use(CPU_MOST), -EINVAL);
    assert_int_equal(cpu_use(CPU_MOST - 1), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_allowed), cmocka_unit_test(test_use),
                                       cmocka_unit_test(test_no_such)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
