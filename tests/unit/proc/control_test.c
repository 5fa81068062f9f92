/* The path of a control socket goes from one server to another, and back. */
#include "proc/control.h"

#include "base/mem.h"
#include "os/sock.h"
#include "os/sock_unix.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/cs-control-XXXXXX";
static char path[64];
static struct loop loop;

static void on_line(void *arg, struct control_call *call, cs_str line)
{
    (void)line;
    control_answer(call, str_of(arg));
}

/* Who answers at the path? "" = nobody. */
static const char *who(void)
{
    static char answer[64];
    int fd = sock_unix_connect(path);
    ssize_t n = -1;

    answer[0] = '\0';
    if (fd < 0)
        return "";
    assert_int_equal(write(fd, "x\n", 2), 2);
    for (int i = 0; i < 100 && n < 0; i++) {
        loop_wait(&loop, 20);
        loop_dispatch(&loop);
        loop_run_timers(&loop);
        loop_reap(&loop);
        n = recv(fd, answer, sizeof answer - 1, MSG_DONTWAIT);
    }
    assert_true(n > 0);
    answer[n - 1] = '\0';
    close(fd);
    return answer;
}

static unsigned mode_of(const char *file)
{
    struct stat st;

    return lstat(file, &st) == 0 ? st.st_mode & 0777 : 0;
}

static void test_take(void **state)
{
    struct control *one, *two;

    (void)state;
    assert_int_equal(control_new(&one, &loop, path, on_line, "one"), 0);
    assert_string_equal(who(), "one");
    assert_int_equal(control_new(&two, &loop, path, on_line, "two"), -EADDRINUSE);
    assert_int_equal(control_take(&two, &loop, path, on_line, "two"), 0);
    assert_string_equal(who(), "two");
    assert_int_equal(mode_of(path), 0660);
    control_free(one); /* the file is the other's */
    assert_string_equal(who(), "two");
    control_free(two);
    assert_int_equal(mode_of(path), 0);
}

static void test_reclaim(void **state)
{
    struct control *one, *two;

    (void)state;
    assert_int_equal(control_new(&one, &loop, path, on_line, "one"), 0);
    assert_int_equal(control_reclaim(one), 0);
    assert_string_equal(who(), "one");
    assert_int_equal(control_take(&two, &loop, path, on_line, "two"), 0);
    assert_int_equal(control_reclaim(one), 0);
    assert_string_equal(who(), "one");
    control_free(two);
    assert_string_equal(who(), "one");
    unlink(path);
    assert_string_equal(who(), "");
    assert_int_equal(control_reclaim(one), 0);
    assert_string_equal(who(), "one");
    control_free(one);
    assert_int_equal(mode_of(path), 0);
}

static void test_no_place(void **state)
{
    struct control *c;
    char *there = mem_printf("%s/there", folder), *in = mem_printf("%s/there/a/b", folder);

    (void)state;
    assert_int_equal(mkdir(there, 0755), 0);
    assert_int_equal(control_take(&c, &loop, there, on_line, ""), -EISDIR);
    assert_int_equal(control_take(&c, &loop, in, on_line, "deep"), 0);
    control_free(c);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(system("test -z \"$(ls -A | grep cs-)\""), 0); /* nothing is left */
    assert_int_equal(chdir("/"), 0);
    free(there);
    free(in);
}

static int begin(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/control", folder);
    return loop_init(&loop, 16);
}

static int end(void **state)
{
    char *command = mem_printf("rm -r %s", folder);
    int rc = system(command);

    (void)state;
    free(command);
    loop_free(&loop);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_reclaim),
        cmocka_unit_test(test_no_place),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
