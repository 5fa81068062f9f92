/* The datagrams for systemd, received as it would. */
#include "os/notify.h"

#include "base/check.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

/* A manager at that place, written as NOTIFY_SOCKET has it. */
static int manager_at(const char *place)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(place);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(un.sun_path, place, n);
    if (place[0] == '@')
        un.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&un,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
                     0);
    return fd;
}

static const char *heard(int fd)
{
    static char text[2048];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static void set_place(const char *name)
{
    char place[128];

    snprintf(place, sizeof place, "%s%s", name[0] == '/' ? folder : "", name);
    setenv("NOTIFY_SOCKET", place, 1);
}

static int open_manager(const char *name)
{
    int fd;

    set_place(name);
    fd = manager_at(getenv("NOTIFY_SOCKET"));
    notify_open();
    return fd;
}

static void close_manager(int fd)
{
    notify_close();
    close(fd);
}

static void test_places(void **state)
{
    char abstract[64];
    const char *const names[] = {"/notify", abstract};

    (void)state;
    snprintf(abstract, sizeof abstract, "@cserver-test-%d", (int)getpid());
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int fd = open_manager(names[i]);

        assert_true(notify_wanted());
        assert_int_equal(notify_send("READY=%d\nX=%s", 1, "y"), 0);
        assert_string_equal(heard(fd), "READY=1\nX=y");
        close_manager(fd);
        assert_false(notify_wanted());
        assert_int_equal(notify_send("READY=1"), 0);
    }
    printf("rows: %zu\n", ARRAY_LEN(names));
}

static void test_longest_path(void **state)
{
    char place[109];
    int fd;

    (void)state;
    memset(place, 'x', 108);
    memcpy(place, folder, strlen(folder));
    place[strlen(folder)] = '/';
    place[108] = '\0';
    setenv("NOTIFY_SOCKET", place, 1);
    fd = manager_at(place);
    notify_open();
    assert_int_equal(notify_send("READY=1"), 0);
    assert_string_equal(heard(fd), "READY=1");
    close_manager(fd);
}

static void test_no_places(void **state)
{
    static const char *const places[] = {
        "",
        "/",
        "@",
        "notify",
        "vsock:2:1234",
        "/0123456789012345678901234567890123456789012345678901234567890123456789"
        "01234567890123456789012345678901234567"};
    int saved = log_fd(), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)state;
    log_open(null, false);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        setenv("NOTIFY_SOCKET", places[i], 1);
        notify_open();
        if (notify_wanted() || notify_send("READY=1") != 0 || getenv("NOTIFY_SOCKET"))
            fail_msg("row \"%s\"", places[i]);
    }
    log_open(saved, false);
    close(null);
    notify_open();
    assert_false(notify_wanted());
    printf("rows: %zu\n", ARRAY_LEN(places));
}

static void test_watchdog(void **state)
{
    char own[32], other[32];
    const struct {
        const char *usec, *pid;
        uint64_t want;
    } table[] = {
        {"30000000", own, 30000000},
        {"30000000", NULL, 30000000},
        {"30000000", other, 0},
        {"30000000", "", 0},
        {NULL, own, 0},
        {"0", own, 0},
        {"never", own, 0},
    };

    (void)state;
    snprintf(own, sizeof own, "%d", (int)getpid());
    snprintf(other, sizeof other, "%d", (int)getppid());
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        setenv("NOTIFY_SOCKET", "@cserver-nobody", 1);
        if (table[i].usec)
            setenv("WATCHDOG_USEC", table[i].usec, 1);
        if (table[i].pid)
            setenv("WATCHDOG_PID", table[i].pid, 1);
        notify_open();
        if (notify_watchdog_us() != table[i].want || getenv("WATCHDOG_USEC") ||
            getenv("WATCHDOG_PID"))
            fail_msg("row %zu: %llu", i, (unsigned long long)notify_watchdog_us());
    }
    notify_close();
    assert_int_equal(notify_watchdog_us(), 0);
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_status(void **state)
{
    int fd = open_manager("/status");
    char longest[3000];

    (void)state;
    assert_int_equal(notify_status("a\nREADY=1\tb \xc3\xbc"), 0);
    assert_string_equal(heard(fd), "STATUS=a READY=1 b \xc3\xbc");
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(notify_status(longest), 0);
    assert_int_equal(strncmp(heard(fd), "STATUS=xxx", 10), 0);
    close_manager(fd);
}

/* Nobody reads: it does not wait, and says so. */
static void test_full(void **state)
{
    int fd = open_manager("/full"), rc = 0;

    (void)state;
    for (int i = 0; i < 100000 && rc == 0; i++)
        rc = notify_send("WATCHDOG=1");
    assert_int_equal(rc, -EAGAIN);
    assert_string_equal(heard(fd), "WATCHDOG=1");
    assert_int_equal(notify_send("READY=1"), 0);
    close_manager(fd);
}

static void test_manager_has_gone(void **state)
{
    int fd = open_manager("/gone");

    (void)state;
    close(fd);
    assert_int_equal(notify_send("READY=1"), -ECONNREFUSED);
    notify_close();
}

/* The next main process finds what this one has found. */
static void test_export(void **state)
{
    char abstract[64];
    int fd;

    (void)state;
    snprintf(abstract, sizeof abstract, "@cserver-export-%d", (int)getpid());
    setenv("WATCHDOG_USEC", "4000000", 1);
    fd = open_manager(abstract);
    notify_export();
    assert_string_equal(getenv("NOTIFY_SOCKET"), abstract);
    assert_string_equal(getenv("WATCHDOG_USEC"), "4000000");
    assert_null(getenv("WATCHDOG_PID"));
    notify_open();
    assert_true(notify_wanted());
    assert_int_equal(notify_watchdog_us(), 4000000);
    close_manager(fd);
    notify_export();
    assert_null(getenv("NOTIFY_SOCKET"));
}

static int begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/notify-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),           cmocka_unit_test(test_longest_path),
        cmocka_unit_test(test_no_places),        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_status),           cmocka_unit_test(test_full),
        cmocka_unit_test(test_manager_has_gone), cmocka_unit_test(test_export),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
