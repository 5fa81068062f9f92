/* steps.h - instructions of a child, counted by letting it go one step at a time. For tests that have included cmocka.h. */
#ifndef TESTS_UNIT_STEPS_H
#define TESTS_UNIT_STEPS_H

#include "base/check.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>

/* The child asks to be traced (exit status 77: it may not) and stops itself twice: the steps between. -1: it cannot be traced here. */
static inline long count_steps(pid_t child)
{
    int status;
    long n = 0;
    check(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        return -1;
    assert_true(WIFSTOPPED(status));
    do {
        check(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0);
        check(waitpid(child, &status, 0) == child);
        if (!WIFSTOPPED(status))
            fail_msg("the child ended with %d", status);
        n++;
    } while (WSTOPSIG(status) == SIGTRAP);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return n;
}

#endif
