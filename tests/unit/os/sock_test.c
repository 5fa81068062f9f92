/* sock_test.c - addresses as text, listeners, unix sockets. */
#include "os/sock.h"

#include "base/check.h"
#include "os/fd.h"

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

#define LONG_PATH_107                                                                              \
    "/a23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"  \
    "1234567890123456"

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

static void test_good_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* as written again */
        int family;
        bool both;
    } table[] = {
        {"127.0.0.1:80", "127.0.0.1:80", AF_INET, false},
        {"0.0.0.0:8080", "0.0.0.0:8080", AF_INET, false},
        {"255.255.255.255:65535", "255.255.255.255:65535", AF_INET, false},
        {"127.0.0.1:0", "127.0.0.1:0", AF_INET, false},
        {"127.0.0.1:0080", "127.0.0.1:80", AF_INET, false},
        {":8080", "*:8080", AF_INET6, true},
        {"*:8080", "*:8080", AF_INET6, true},
        {":0", "*:0", AF_INET6, true},
        {"[::]:80", "[::]:80", AF_INET6, false},
        {"[::1]:443", "[::1]:443", AF_INET6, false},
        {"[2001:DB8:0:0:0:0:0:1]:1", "[2001:db8::1]:1", AF_INET6, false},
        {"[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80", AF_INET6, false},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", AF_INET6, false},
        {"unix:/run/x.sock", "unix:/run/x.sock", AF_UNIX, false},
        {"unix:/with:colon", "unix:/with:colon", AF_UNIX, false},
        {"unix:" LONG_PATH_107, "unix:" LONG_PATH_107, AF_UNIX, false},
        {"socket:web", "socket:web", AF_UNSPEC, false},
        {"socket:cserver.socket", "socket:cserver.socket", AF_UNSPEC, false},
        {"socket:80", "socket:80", AF_UNSPEC, false},
        {"socket:" LONG_PATH_107, "socket:" LONG_PATH_107, AF_UNSPEC, false},
    };
    assert_int_equal(strlen(LONG_PATH_107), 107);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sock_addr a, again;
        const char *error = NULL;
        char text[SOCK_TEXT_MAX];
        if (!sock_addr_parse(str_of(table[i].text), &a, &error))
            fail_msg("row \"%s\": %s", table[i].text, error);
        size_t n = sock_addr_text(&a, text);
        if (strcmp(text, table[i].want) != 0 || n != strlen(text) ||
            a.u.sa.sa_family != table[i].family || a.both != table[i].both)
            fail_msg("row \"%s\": %s", table[i].text, text);
        assert_true(sock_addr_parse(str_of(text), &again, &error));
        assert_true(sock_addr_same(&a, &again));
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_bad_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part; /* part of the sentence */
    } table[] = {
        {"", "port"},
        {"8080", "colon"},
        {"127.0.0.1", "colon"},
        {"127.0.0.1:", "number from 0 to 65535"},
        {":", "number from 0 to 65535"},
        {":65536", "number from 0 to 65535"},
        {":-1", "number from 0 to 65535"},
        {":80 ", "number from 0 to 65535"},
        {": 80", "number from 0 to 65535"},
        {":http", "number from 0 to 65535"},
        {"localhost:80", "names are not looked up"},
        {"127.0.0:80", "names are not looked up"},
        {"127.0.0.256:80", "names are not looked up"},
        {"127.0.0.1.1:80", "names are not looked up"},
        {"127.0.0.01:80", "names are not looked up"},
        {" 127.0.0.1:80", "names are not looked up"},
        {"127.0.0.1/8:80", "names are not looked up"},
        {"**:80", "names are not looked up"},
        {"a.very.long.name.that.is.longer.than.any.address.would.be:80", "names are not looked up"},
        {"::1:80", "brackets"},
        {":::80", "brackets"},
        {"[::1]", "number from 0 to 65535"},
        {"[::1:80", "brackets"},
        {"[::1]x:80", "brackets"},
        {"[:80", "brackets"},
        {"[]:80", "no IPv6 address"},
        {"[1.2.3.4]:80", "no IPv6 address"},
        {"[::1::2]:80", "no IPv6 address"},
        {"[fe80::1%lo]:80", "zones"},
        {"[12345::]:80", "no IPv6 address"},
        {"unix:", "slash"},
        {"unix:run/x.sock", "slash"},
        {"unix:" LONG_PATH_107 "8", "107 bytes"},
        {"socket:", "name of a socket"},
        {"socket:a:b", "no colons"},
        {"socket:a\tb", "ASCII only"},
        {"socket:b\xc3\xbc", "ASCII only"},
        {"socket:" LONG_PATH_107 "8", "107 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sock_addr a;
        const char *error = NULL;
        if (sock_addr_parse(str_of(table[i].text), &a, &error))
            fail_msg("row \"%s\" was taken", table[i].text);
        if (!strstr(error, table[i].part))
            fail_msg("row \"%s\": %s", table[i].text, error);
    }
    struct sock_addr a;
    const char *error;
    assert_false(sock_addr_parse((cs_str){"unix:/a\0b", 9}, &a, &error));
    assert_false(sock_addr_parse((cs_str){"1.2.3.4\0:80", 11}, &a, &error));
    assert_false(sock_addr_parse((cs_str){NULL, 0}, &a, &error));
    printf("rows: %zu\n", ARRAY_LEN(table) + 3);
}

static void test_same(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool want;
    } table[] = {
        {":80", "*:80", true},           {":80", ":81", false},
        {":80", "[::]:80", false},       {":80", "0.0.0.0:80", false},
        {"[::1]:80", "[0::1]:80", true}, {"127.0.0.1:80", "127.0.0.2:80", false},
        {"unix:/a", "unix:/a", true},    {"unix:/a", "unix:/ab", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sock_addr a, b;
        const char *error;
        assert_true(sock_addr_parse(str_of(table[i].a), &a, &error));
        assert_true(sock_addr_parse(str_of(table[i].b), &b, &error));
        if (sock_addr_same(&a, &b) != table[i].want)
            fail_msg("row %s and %s", table[i].a, table[i].b);
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_peer_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } table[] = {
        {"127.0.0.1:80", "127.0.0.1"},
        {"0.10.100.255:80", "0.10.100.255"},
        {"9.99.199.200:80", "9.99.199.200"},
        {"255.255.255.255:80", "255.255.255.255"},
        {"[::ffff:10.0.0.1]:80", "10.0.0.1"},
        {"[::1]:80", "::1"},
        {"[::10.0.0.1]:80", "::10.0.0.1"},
        {"[2001:db8::5]:80", "2001:db8::5"},
        {"unix:/run/x", "unix:"},
    };
    char text[SOCK_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sock_addr a;
        const char *error;
        assert_true(sock_addr_parse(str_of(table[i].text), &a, &error));
        size_t n = sock_peer_text(&a.u.sa, a.len, text);
        if (strcmp(text, table[i].want) != 0 || n != strlen(text))
            fail_msg("row \"%s\": %s", table[i].text, text);
    }
    struct sockaddr_storage none = {0};
    sock_peer_text((struct sockaddr *)(void *)&none, 0, text);
    assert_string_equal(text, "unix:");
    printf("rows: %zu\n", ARRAY_LEN(table) + 1);
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

static void accept_one(int listener, const char *peer_text)
{
    struct sockaddr_storage peer;
    socklen_t n;
    char text[SOCK_TEXT_MAX];
    int conn = sock_accept(listener, &peer, &n);
    assert_true(conn >= 0);
    assert_true(fcntl(conn, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(conn, F_GETFD) & FD_CLOEXEC);
    if (peer.ss_family != AF_UNIX)
        assert_int_equal(option(conn, IPPROTO_TCP, TCP_NODELAY), 1);
    else
        assert_int_equal(n, 0);
    sock_peer_text((struct sockaddr *)(void *)&peer, n, text);
    assert_string_equal(text, peer_text);
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

static void test_mode(void **state)
{
    (void)state;
    struct sock_addr bound;
    struct stat st;
    char path[100], link[100], text[128];
    in_folder(path, sizeof(path), "m");
    in_folder(link, sizeof(link), "l");
    snprintf(text, sizeof(text), "unix:%s", path);
    int fd = listen_on(text, &bound);
    assert_true(fd >= 0);
    assert_int_equal(sock_set_mode(path, 0640), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(sock_set_mode(link, 0666), -ENOTSOCK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    unlink(link);
    unlink(path);
    close(fd);
    assert_int_equal(sock_set_mode(path, 0666), -ENOENT);
    assert_int_equal(sock_set_mode(folder, 0777), -ENOTSOCK);
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
    accept_one(fd, "unix:");
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

/* A folder so deep that no sockaddr_un holds the path. */
static void test_unix_long(void **state)
{
    (void)state;
    char deep[300], path[700];
    snprintf(deep, sizeof(deep), "%s/%0200d", folder, 1);
    assert_int_equal(mkdir(deep, 0700), 0);
    snprintf(path, sizeof(path), "%s/control.sock", deep);
    assert_int_equal(sock_unix_connect(path), -ENOENT);
    int fd = sock_unix_listen(path, 0600);
    assert_true(fd >= 0);
    int client = sock_unix_connect(path);
    assert_true(client >= 0);
    accept_one(fd, "unix:");
    close(client);
    assert_int_equal(sock_unix_listen(path, 0600), -EADDRINUSE);
    close(fd);
    fd = sock_unix_listen(path, 0600); /* stale */
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%0120d", deep, 1);
    assert_int_equal(sock_unix_listen(path, 0600), -ENAMETOOLONG);
    rmdir(deep);
    snprintf(path, sizeof(path), "%s/x", deep);
    assert_int_equal(sock_unix_listen(path, 0600), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_addresses), cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_same),           cmocka_unit_test(test_peer_text),
        cmocka_unit_test(test_listen_tcp),     cmocka_unit_test(test_queue_of_a_bound_socket),
        cmocka_unit_test(test_listen_only_v6), cmocka_unit_test(test_listen_deferred),
        cmocka_unit_test(test_not_here),       cmocka_unit_test(test_defer),
        cmocka_unit_test(test_mode),           cmocka_unit_test(test_unix),
        cmocka_unit_test(test_unix_not_ours),  cmocka_unit_test(test_unix_busy),
        cmocka_unit_test(test_unix_long),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
