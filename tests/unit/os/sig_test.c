/* sig_test.c - signals arrive as reads, in their order of number, and only those that are ours. */
#include "os/sig.h"

#include "base/check.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const int ours[] = {SIGUSR1, SIGUSR2, SIGHUP,   SIGTERM, SIGINT,
                           SIGQUIT, SIGCHLD, SIGWINCH, SIGTTIN, SIGTTOU};

static int status_of(void (*what)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        what();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void require(bool ok, int code)
{
    if (!ok)
        _exit(code);
}

/* With everything ignored beforehand, as a shell may leave it. */
static void read_each(void)
{
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        signal(ours[i], SIG_IGN);
    sig_block_all();
    int fd = sig_open(), pid = 0;
    require(fd >= 0, 1);
    require(sig_read(fd, &pid) == 0, 2);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        kill(getpid(), ours[i]);
        require(sig_read(fd, &pid) == ours[i], 3);
        require(pid == getpid(), 4);
        require(sig_read(fd, &pid) == 0, 5);
    }
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGHUP);
    require(sig_read(fd, &pid) + sig_read(fd, &pid) == SIGTERM + SIGHUP, 6);
    int pipe_fds[2];
    require(pipe(pipe_fds) == 0 && close(pipe_fds[0]) == 0, 7);
    require(write(pipe_fds[1], "x", 1) == -1, 8); /* and no SIGPIPE */
}

static void see_child_end(void)
{
    signal(SIGCHLD, SIG_IGN); /* would reap it unseen */
    sig_block_all();
    int fd = sig_open(), pid = 0, status;
    pid_t child = fork();
    if (child == 0)
        _exit(9);
    require(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 9, 1);
    require(sig_read(fd, &pid) == SIGCHLD && pid == child, 2);
}

static void reset_then_term(void)
{
    sig_block_all();
    sig_reset();
    kill(getpid(), SIGTERM);
}

static void reset_then_pipe(void)
{
    int pipe_fds[2];
    sig_block_all();
    sig_reset();
    require(pipe(pipe_fds) == 0 && close(pipe_fds[0]) == 0, 1);
    ssize_t n = write(pipe_fds[1], "x", 1);
    (void)n;
}

static void test_read(void **state)
{
    (void)state;
    assert_int_equal(status_of(read_each), 0);
}

static void test_child(void **state)
{
    (void)state;
    assert_int_equal(status_of(see_child_end), 0);
}

static void test_reset(void **state)
{
    (void)state;
    int status = status_of(reset_then_term);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    status = status_of(reset_then_pipe);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

static void test_names(void **state)
{
    (void)state;
    char want[32];
    for (int sig = 1; sig < 32; sig++) {
        const char *abbreviation = sigabbrev_np(sig);
        if (!abbreviation || sig == SIGSTKFLT)
            continue;
        /* SIGIO is called SIGPOLL by some. */
        snprintf(want, sizeof(want), "SIG%s", sig == SIGIO ? "IO" : abbreviation);
        assert_string_equal(sig_name(sig), want);
    }
    assert_string_equal(sig_name(0), "unknown signal");
    assert_string_equal(sig_name(-1), "unknown signal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_child),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
