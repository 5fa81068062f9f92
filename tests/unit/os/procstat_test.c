/* What /proc tells about a child that is brought into each state. */
#include "os/procstat.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static pid_t sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    assert_true(pid > 0);
    return pid;
}

static void wait_state(pid_t pid, char state)
{
    for (int i = 0; i < 5000 && procstat_state(pid) != state; i++)
        usleep(1000);
    assert_int_equal(procstat_state(pid), state);
}

static void test_a_child(void **state)
{
    pid_t pid = sleeper();

    (void)state;
    wait_state(pid, 'S');
    kill(pid, SIGSTOP);
    wait_state(pid, 'T');
    assert_true(procstat_is_held('T'));
    kill(pid, SIGCONT);
    wait_state(pid, 'S');
    kill(pid, SIGKILL);
    wait_state(pid, 'Z');
    waitpid(pid, NULL, 0);
    assert_int_equal(procstat_state(pid), 0);
}

static void test_ourselves(void **state)
{
    (void)state;
    assert_int_equal(procstat_state(getpid()), 'R');
}

static void test_words(void **state)
{
    static const struct {
        char state;
        const char *part;
        bool held;
    } rows[] = {{'R', "running", false},           {'S', "asleep", false},
                {'D', "disk sleep", false},        {'T', "stopped", true},
                {'t', "debugger", true},           {'Z', "dead", false},
                {PROCSTAT_FROZEN, "frozen", true}, {0, "gone", false},
                {'?', "not know", false}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strstr(procstat_words(rows[i].state), rows[i].part) ||
            procstat_is_held(rows[i].state) != rows[i].held)
            fail_msg("%s", rows[i].part);
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_child),
                                       cmocka_unit_test(test_ourselves),
                                       cmocka_unit_test(test_words)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
