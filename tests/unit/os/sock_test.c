/* sock_test.c - listeners, and what they accept. */
#include "os/sock.h"

#include "base/check.h"
#include "base/cidr.h"
#include "os/fd.h"
#include "os/sock_unix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sock_test.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t n = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &n), 0);
    return value;
}

static int listen_on(const char *text, struct sock_addr *bound)
{
    struct sock_addr a;
    struct sock_listen_opts o = {.backlog = 16, .unix_mode = 0622};
    const char *error = NULL;
    assert_true(sock_addr_parse(str_of(text), &a, &error));
    int fd = sock_listen(&a, &o);
    if (fd >= 0)
        assert_int_equal(sock_addr_of(fd, bound), 0);
    return fd;
}

static int connect_v4(const struct sock_addr *to)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a.sin_port = ((const struct sockaddr_in *)(const void *)&to->u)->sin_port;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&a, sizeof(a)), 0);
    return fd;
}

static void accept_one(int listener, const char *want)
{
    struct sockaddr_storage peer;
    socklen_t n;
    char text[CIDR_TEXT_MAX];
    struct cidr_addr addr;
    int conn = sock_accept(listener, &peer, &n);
    assert_true(conn >= 0);
    assert_true(fcntl(conn, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(conn, F_GETFD) & FD_CLOEXEC);
    if (peer.ss_family != AF_UNIX)
        assert_int_equal(option(conn, IPPROTO_TCP, TCP_NODELAY), 1);
    else
        assert_int_equal(n, 0);
    bool by_ip = cidr_addr_of((struct sockaddr *)(void *)&peer, &addr);
    if (by_ip)
        cidr_addr_text(&addr, text);
    assert_int_equal(by_ip, want != NULL);
    assert_string_equal(by_ip ? text : "", want ? want : "");
    close(conn);
    assert_int_equal(sock_accept(listener, &peer, &n), -EAGAIN);
    assert_int_equal(n, 0);
}

static void test_listen_tcp(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:0", ":0"};
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct sock_addr bound, other;
        char text[SOCK_TEXT_MAX];
        int fd = listen_on(addresses[i], &bound);
        assert_true(fd >= 0);
        assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(sock_queued(fd), 0);
        int client = connect_v4(&bound);
        assert_int_equal(sock_queued(fd), 1);
        assert_int_equal(sock_queue_room(fd), 16);
        accept_one(fd, "127.0.0.1");
        assert_int_equal(sock_queued(fd), 0);
        close(client);
        sock_addr_text(&bound, text);
        assert_int_equal(listen_on(text, &other), -EADDRINUSE);
        close(fd);
        fd = listen_on(text, &other); /* at once again, in spite of TIME_WAIT */
        assert_true(fd >= 0);
        assert_true(sock_addr_same(&bound, &other));
        close(fd);
    }
}

static void test_queue_of_a_bound_socket(void **state)
{
    (void)state;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&a, sizeof(a)), 0);
    assert_int_equal(sock_queued(fd), 0);
    assert_int_equal(sock_queue_room(fd), 0);
    assert_int_equal(listen(fd, 7), 0);
    assert_int_equal(sock_queue_room(fd), 7);
    close(fd);
    assert_int_equal(sock_queue_room(-1), -EBADF);
}

static void test_listen_only_v6(void **state)
{
    (void)state;
    struct sock_addr bound;
    int fd = listen_on("[::]:0", &bound);
    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
        skip();
    assert_true(fd >= 0);
    assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    assert_false(bound.both);
    close(fd);
}

static void test_listen_deferred(void **state)
{
    (void)state;
    struct sock_addr a;
    struct sock_listen_opts o = {.backlog = 16, .deferred = true};
    const char *error;
    assert_true(sock_addr_parse(CS_S("127.0.0.1:0"), &a, &error));
    int fd = sock_listen(&a, &o);
    assert_true(fd >= 0);
    assert_true(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
    close(fd);
}

static void test_defer(void **state)
{
    (void)state;
    struct sock_addr bound;
    int fd = listen_on("127.0.0.1:0", &bound);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    assert_int_equal(sock_defer(fd, true), 0);
    assert_true(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
    assert_int_equal(sock_defer(fd, false), 0);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    close(fd);
}

static void test_not_here(void **state)
{
    (void)state;
    struct sock_addr bound;
    assert_int_equal(listen_on("192.0.2.1:0", &bound), -EADDRNOTAVAIL);
    assert_int_equal(listen_on("unix:/nonexistent/x", &bound), -ENOENT);
}

static void in_folder(char *out, size_t n, const char *name)
{
    snprintf(out, n, "%s/%s", folder, name);
}

static void test_unix(void **state)
{
    (void)state;
    struct sock_addr bound, other;
    struct stat st;
    char path[100], text[128];
    in_folder(path, sizeof(path), "s");
    snprintf(text, sizeof(text), "unix:%s", path);
    int fd = listen_on(text, &bound);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0622);
    char again[SOCK_TEXT_MAX];
    sock_addr_text(&bound, again);
    assert_string_equal(again, text);

    assert_true(sock_queued(fd) < 0);
    assert_true(sock_queue_room(fd) < 0);
    int client = sock_unix_connect(path), pid;
    unsigned uid, gid;
    assert_true(client >= 0);
    accept_one(fd, NULL);
    assert_int_equal(sock_unix_peer(client, &pid, &uid, &gid), 0);
    assert_int_equal(pid, getpid());
    assert_int_equal(uid, geteuid());
    close(client);

    assert_int_equal(listen_on(text, &other), -EADDRINUSE); /* somebody answers there */
    close(fd);
    fd = listen_on(text, &other); /* a stale file */
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
}

static void test_unix_not_ours(void **state)
{
    (void)state;
    struct sock_addr bound;
    char path[100], text[128];
    in_folder(path, sizeof(path), "file");
    snprintf(text, sizeof(text), "unix:%s", path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(listen_on(text, &bound), -EADDRINUSE);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(sock_unix_connect(path), -ECONNREFUSED);
    unlink(path);
    assert_int_equal(sock_unix_connect(path), -ENOENT);
}

/* A server that is too busy to accept is alive: its socket stays. */
static void test_unix_busy(void **state)
{
    (void)state;
    struct sock_addr a, other;
    struct sock_listen_opts o = {.backlog = 1, .unix_mode = 0600};
    const char *error;
    char path[100], text[128];
    int clients[8], n = 0;
    in_folder(path, sizeof(path), "busy");
    snprintf(text, sizeof(text), "unix:%s", path);
    assert_true(sock_addr_parse(str_of(text), &a, &error));
    int fd = sock_listen(&a, &o), rc = 0;
    assert_true(fd >= 0);
    while (rc == 0 && n < 8) {
        clients[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        rc = connect(clients[n++], &a.u.sa, a.len);
    }
    assert_int_equal(rc, -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(listen_on(text, &other), -EADDRINUSE);
    assert_int_equal(access(path, F_OK), 0);
    while (n > 0)
        close(clients[--n]);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen_tcp),     cmocka_unit_test(test_queue_of_a_bound_socket),
        cmocka_unit_test(test_listen_only_v6), cmocka_unit_test(test_listen_deferred),
        cmocka_unit_test(test_not_here),       cmocka_unit_test(test_defer),
        cmocka_unit_test(test_unix),           cmocka_unit_test(test_unix_not_ours),
        cmocka_unit_test(test_unix_busy),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
