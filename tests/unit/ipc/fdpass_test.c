/* Descriptors through a socket pair: they arrive alive, and nothing that is malformed leaves one
 * behind. */
#include "ipc/fdpass.h"

#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];

static int set_up(void **state)
{
    (void)state;
    return fd_pair(SOCK_SEQPACKET, pair);
}

static int tear_down(void **state)
{
    (void)state;
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    return 0;
}

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void test_travels(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct fdpass_msg msg = {.kind = FDPASS_ACCESS_LOG, .serial = 42}, got = {0};
    assert_int_equal(fdpass_send(pair[0], &msg, ends[1]), 0);
    fd_close(&ends[1]);
    int fd = -1;
    assert_int_equal(fdpass_recv(pair[1], &got, &fd), 1);
    assert_int_equal(got.kind, FDPASS_ACCESS_LOG);
    assert_int_equal(got.serial, 42);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    char c = 0;
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(read(ends[0], &c, 1), 1);
    assert_int_equal(c, 'x');
    fd_close(&fd);
    fd_close(&ends[0]);
}

static void test_nothing_there(void **state)
{
    (void)state;
    struct fdpass_msg got;
    int fd = 5;
    assert_int_equal(fdpass_recv(pair[1], &got, &fd), 0);
    assert_int_equal(fd, -1);
}

static void test_in_order(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(fdpass_send(pair[0], &(struct fdpass_msg){FDPASS_ERROR_LOG, i}, 2), 0);
    for (uint32_t i = 0; i < 5; i++) {
        struct fdpass_msg got;
        int fd;
        assert_int_equal(fdpass_recv(pair[1], &got, &fd), 1);
        assert_int_equal(got.serial, i);
        fd_close(&fd);
    }
}

static void test_full(void **state)
{
    (void)state;
    struct fdpass_msg msg = {FDPASS_ERROR_LOG, 1}, got;
    int rc = 0, sent = 0, fd;
    while ((rc = fdpass_send(pair[0], &msg, 2)) == 0 && sent < 100000)
        sent++;
    assert_int_equal(rc, -EAGAIN);
    for (int i = 0; i < sent; i++) {
        assert_int_equal(fdpass_recv(pair[1], &got, &fd), 1);
        fd_close(&fd);
    }
    assert_int_equal(fdpass_recv(pair[1], &got, &fd), 0);
}

static void test_closed(void **state)
{
    (void)state;
    struct fdpass_msg msg = {FDPASS_ERROR_LOG, 1}, got;
    int fd;
    assert_int_equal(fdpass_send(pair[0], &msg, 2), 0);
    fd_close(&pair[0]);
    assert_int_equal(fdpass_recv(pair[1], &got, &fd), 1);
    fd_close(&fd);
    assert_int_equal(fdpass_recv(pair[1], &got, &fd), -EPIPE);
    assert_int_equal(fdpass_send(pair[1], &msg, 2), -EPIPE);
}

static void test_bad_fd(void **state)
{
    (void)state;
    struct fdpass_msg msg = {FDPASS_ERROR_LOG, 1};
    assert_int_equal(fdpass_send(pair[0], &msg, -1), -EBADF);
}

/* `len` bytes with `nfds` copies of descriptor 2. */
static void send_raw(size_t len, size_t nfds)
{
    char bytes[64] = {0};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(16 * sizeof(int))];
    } control;
    memset(&control, 0, sizeof(control));
    struct iovec iov = {bytes, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds) {
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        for (size_t i = 0; i < nfds; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){2}, sizeof(int));
    }
    assert_int_equal(sendmsg(pair[0], &m, 0), len);
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        size_t len, nfds;
    } rows[] = {
        {"no descriptor", sizeof(struct fdpass_msg), 0},
        {"two descriptors", sizeof(struct fdpass_msg), 2},
        {"four descriptors", sizeof(struct fdpass_msg), 4},
        {"more than there is room for", sizeof(struct fdpass_msg), 9},
        {"too short", sizeof(struct fdpass_msg) - 1, 1},
        {"too long", sizeof(struct fdpass_msg) + 1, 1},
        {"empty, with a descriptor", 0, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fdpass_msg got;
        int fd = 0, before = open_fds();
        send_raw(rows[i].len, rows[i].nfds);
        int rc = fdpass_recv(pair[1], &got, &fd);
        if (rc != -EPROTO || fd != -1 || open_fds() != before) {
            fail_msg("%s: rc %d, fd %d, %d descriptors left", rows[i].label, rc, fd,
                     open_fds() - before);
        }
    }
    print_message("rows: %zu\n", sizeof(rows) / sizeof(rows[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_travels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_fd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
