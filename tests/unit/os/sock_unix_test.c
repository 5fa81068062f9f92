/* sock_unix_test.c - paths of any length, and the files of unix sockets. */
#include "os/sock_unix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
    strcpy(folder, "/tmp/sock_unix_test.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void test_mode(void **state)
{
    (void)state;
    struct stat st;
    char path[100], link[100];
    snprintf(path, sizeof(path), "%s/m", folder);
    snprintf(link, sizeof(link), "%s/l", folder);
    int fd = sock_unix_listen(path, 0622);
    assert_true(fd >= 0);
    assert_int_equal(sock_unix_set_mode(path, 0640), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(sock_unix_set_mode(link, 0666), -ENOTSOCK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    unlink(link);
    unlink(path);
    close(fd);
    assert_int_equal(sock_unix_set_mode(path, 0666), -ENOENT);
    assert_int_equal(sock_unix_set_mode(folder, 0777), -ENOTSOCK);
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
    int accepted = accept(fd, NULL, NULL);
    assert_true(accepted >= 0);
    close(accepted);
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
        cmocka_unit_test(test_mode),
        cmocka_unit_test(test_unix_long),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
