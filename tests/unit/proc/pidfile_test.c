/* What a file at the place of the pid file means. */
#include "proc/pidfile.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/cs-pidfile-XXXXXX";
static char path[64];

static void put(const char *content)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(content, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

struct row {
    const char *label;
    const char *content; /* NULL: no file */
    enum pidfile_state state;
};

static const struct row rows[] = {
    {"no file", NULL, PIDFILE_NONE},
    {"empty", "", PIDFILE_NONE},
    {"only a line end", "\n", PIDFILE_NONE},
    {"a process that cannot be", "2147483000\n", PIDFILE_STALE},
    {"without a line end", "2147483000", PIDFILE_STALE},
    {"another program (init)", "1\n", PIDFILE_STALE},
    {"zero", "0\n", PIDFILE_FOREIGN},
    {"negative", "-5\n", PIDFILE_FOREIGN},
    {"words", "root:x:0:0\n", PIDFILE_FOREIGN},
    {"two numbers", "12\n13\n", PIDFILE_FOREIGN},
    {"too large a number", "99999999999\n", PIDFILE_FOREIGN},
    {"a long text",
     "it is a long text, longer than any pid file could ever be, and nobody wants it to "
     "be written over",
     PIDFILE_FOREIGN},
};

static void test_states(void **state)
{
    pid_t pid;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unlink(path);
        if (rows[i].content)
            put(rows[i].content);
        if (pidfile_look(path, &pid) != rows[i].state)
            fail_msg("%s: state %d", rows[i].label, (int)pidfile_look(path, &pid));
    }
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

static void test_own(void **state)
{
    char line[32], expected[32];
    int fd;
    ssize_t n;
    pid_t pid;

    (void)state;
    unlink(path);
    assert_int_equal(pidfile_write(path), 0);
    fd = open(path, O_RDONLY);
    n = read(fd, line, sizeof line - 1);
    close(fd);
    assert_true(n > 0);
    line[n] = '\0';
    snprintf(expected, sizeof expected, "%d\n", (int)getpid());
    assert_string_equal(line, expected);
    assert_int_equal(pidfile_look(path, &pid), PIDFILE_STALE); /* ours: it may be written again */
    pidfile_remove(path);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_not_ours_stays(void **state)
{
    (void)state;
    put("2147483000\n");
    pidfile_remove(path);
    assert_int_equal(access(path, F_OK), 0);
}

/* A child of this program stands for a running server; a file older than it is from another life. */
static void test_running(void **state)
{
    char line[32];
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    pid_t found, child = fork();

    (void)state;
    if (child == 0) {
        pause();
        _exit(0);
    }
    snprintf(line, sizeof line, "%d\n", (int)child);
    put(line);
    assert_int_equal(pidfile_look(path, &found), PIDFILE_RUNNING);
    assert_int_equal(found, child);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_int_equal(pidfile_look(path, &found), PIDFILE_STALE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    put(line);
    assert_int_equal(pidfile_look(path, &found), PIDFILE_STALE);
}

static void test_folder(void **state)
{
    pid_t pid;

    (void)state;
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(pidfile_look(path, &pid), PIDFILE_FOREIGN);
    assert_int_equal(rmdir(path), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/pid", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_states), cmocka_unit_test(test_own),
                                       cmocka_unit_test(test_not_ours_stays),
                                       cmocka_unit_test(test_running),
                                       cmocka_unit_test(test_folder)};

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
