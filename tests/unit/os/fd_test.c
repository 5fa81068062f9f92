/* fd_test.c - flags, bells, pairs and patient writing. */
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MANY 1000000

static void test_close(void **state)
{
    (void)state;
    int fd = dup(0), number = fd;
    errno = 5;
    fd_close(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(errno, 5);
    assert_int_equal(fcntl(number, F_GETFD), -1);
    errno = 5;
    fd_close(&fd); /* nothing */
    assert_int_equal(errno, 5);
}

static void test_flags(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    for (int on = 1; on >= 0; on--) {
        assert_int_equal(fd_set_nonblock(fds[0], on), 0);
        assert_int_equal(fd_set_cloexec(fds[0], on), 0);
        assert_int_equal(!!(fcntl(fds[0], F_GETFL) & O_NONBLOCK), on);
        assert_int_equal(!!(fcntl(fds[0], F_GETFD) & FD_CLOEXEC), on);
    }
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
    assert_int_equal(fd_set_cloexec(-1, true), -EBADF);
}

static void test_bell(void **state)
{
    (void)state;
    int fd = fd_event_new();
    assert_true(fd >= 0);
    assert_false(fd_event_drain(fd));
    fd_event_ring(fd);
    fd_event_ring(fd);
    assert_true(fd_event_drain(fd));
    assert_false(fd_event_drain(fd));
    uint64_t full = UINT64_MAX - 1;
    assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
    fd_event_ring(fd); /* does not wait */
    assert_true(fd_event_drain(fd));
    close(fd);
}

static void test_pair(void **state)
{
    (void)state;
    int fds[2];
    char text[10];
    assert_int_equal(fd_pair(SOCK_SEQPACKET, fds), 0);
    assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fds[1], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fds[0], "abc", 3), 3);
    assert_int_equal(write(fds[0], "de", 2), 2);
    assert_int_equal(read(fds[1], text, sizeof(text)), 3); /* borders stay */
    assert_int_equal(read(fds[1], text, sizeof(text)), 2);
    assert_int_equal(read(fds[1], text, sizeof(text)), -1);
    close(fds[0]);
    close(fds[1]);
}

/* Far more than a pipe holds, into one that does not block. */
static void test_write_all(void **state)
{
    (void)state;
    int fds[2], status;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    fd_set_nonblock(fds[0], false);
    pid_t pid = fork();
    if (pid == 0) {
        static char in[5000];
        size_t total = 0;
        ssize_t n;
        close(fds[1]);
        while ((n = read(fds[0], in, sizeof(in))) > 0) {
            for (ssize_t i = 0; i < n; i++)
                if (in[i] != (char)((total + (size_t)i) % 251))
                    _exit(1);
            total += (size_t)n;
        }
        _exit(total == MANY ? 0 : 2);
    }
    assert_true(pid > 0);
    char *out = malloc(MANY);
    for (size_t i = 0; i < MANY; i++)
        out[i] = (char)(i % 251);
    assert_int_equal(fd_write_all(fds[1], out, MANY), 0);
    free(out);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
    assert_int_equal(fd_write_all(-1, "x", 0), 0);
}

static void test_limit(void **state)
{
    (void)state;
    struct rlimit before, after;
    getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit low = {before.rlim_max < 100 ? before.rlim_max : 100, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    size_t now = fd_limit_raise();
    getrlimit(RLIMIT_NOFILE, &after);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(now, after.rlim_cur);
    assert_int_equal(after.rlim_cur, after.rlim_max);
    assert_int_equal(after.rlim_max, before.rlim_max);
}

static void test_cloexec_from(void **state)
{
    (void)state;
    int low = dup(0), high = fcntl(0, F_DUPFD, low + 5);
    fd_cloexec_from(low + 1);
    assert_false(fcntl(0, F_GETFD) & FD_CLOEXEC);
    assert_false(fcntl(low, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(high, F_GETFD) & FD_CLOEXEC);
    close(low);
    close(high);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close),        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_bell),         cmocka_unit_test(test_pair),
        cmocka_unit_test(test_write_all),    cmocka_unit_test(test_limit),
        cmocka_unit_test(test_cloexec_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
