/* holder_test.c - who listens on a port. */
#include "os/holder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int bound(int family, unsigned *port)
{
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage got;
    socklen_t n = sizeof got;
    int fd = socket(family, SOCK_STREAM, 0), rc;

    if (family == AF_INET6)
        rc = bind(fd, (struct sockaddr *)(void *)&a6, sizeof a6);
    else
        rc = bind(fd, (struct sockaddr *)(void *)&a4, sizeof a4);
    if (rc < 0 || getsockname(fd, (struct sockaddr *)(void *)&got, &n) < 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&got)->sin6_port
                                     : ((struct sockaddr_in *)(void *)&got)->sin_port);
    return fd;
}

static void test_own(void **state)
{
    (void)state;
    static const int families[] = {AF_INET, AF_INET6};
    char text[128], want[64];
    unsigned port = 0;
    for (int i = 0; i < 2; i++) {
        int fd = bound(families[i], &port);
        if (fd < 0)
            continue;                                          /* no IPv6 here */
        assert_false(holder_of_port(port, text, sizeof text)); /* does not listen yet */
        assert_int_equal(listen(fd, 1), 0);
        assert_true(holder_of_port(port, text, sizeof text));
        snprintf(want, sizeof want, "pid %d, ", (int)getpid());
        assert_int_equal(strncmp(text, want, strlen(want)), 0);
        assert_non_null(strstr(text, "holder_test"));
        assert_null(strstr(text, "more"));
        close(fd);
        assert_false(holder_of_port(port, text, sizeof text));
    }
}

static void test_several(void **state)
{
    (void)state;
    char text[128], small[12];
    unsigned port = 0;
    int fd = bound(AF_INET, &port);
    assert_true(fd >= 0);
    assert_int_equal(listen(fd, 1), 0);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    assert_true(holder_of_port(port, text, sizeof text));
    assert_non_null(strstr(text, " and 1 more"));
    assert_true(holder_of_port(port, small, sizeof small)); /* cut, not overrun */
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_own), cmocka_unit_test(test_several)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
