/* file_test.c - files, paths, and what must not be reached from beneath a folder. */
#include "os/file.h"

#include "base/check.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char top[64]; /* holds "out" (a secret) and the folder "root" */
static int root = -1;

static const char *at(const char *name)
{
    static char path[2][PATH_MAX];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", top, name);
    return path[turn];
}

static void make_file(const char *name, const char *content)
{
    assert_int_equal(file_write_atomic(at(name), str_of(content), 0644), 0);
}

static void make_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, at(name)), 0);
}

static int make_tree(void **state)
{
    (void)state;
    strcpy(top, "/tmp/file_test.XXXXXX");
    if (!mkdtemp(top))
        return -1;
    mkdir(at("root"), 0755);
    mkdir(at("root/dir"), 0755);
    mkdir(at("root/dir/deep"), 0755);
    make_file("out", "secret");
    make_file("root/file", "inside");
    make_file("root/dir/file", "inside");
    make_file("root/dir/deep/file", "inside");
    make_file("root/..hidden", "inside");
    make_link("file", "root/link-in");
    make_link("dir", "root/link-dir");
    make_link("../file", "root/dir/link-up-in");
    make_link("../out", "root/link-out");
    make_link(at("out"), "root/link-absolute");
    make_link(at("root/file"), "root/link-absolute-in");
    make_link("../..", "root/dir/link-far");
    make_link("link-loop", "root/link-loop");
    make_link("nowhere", "root/link-dangling");
    make_link("/proc/self/root", "root/link-proc");
    assert_int_equal(mkfifo(at("root/fifo"), 0644), 0);
    root = file_open_dir(at("root"));
    return root < 0 ? -1 : 0;
}

static int remove_tree(void **state)
{
    (void)state;
    char command[100];
    close(root);
    snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

/* Both ways to open, one table: `walk` is the answer of the way without openat2 where it is
 * stricter. */
static const struct {
    const char *path;
    int kernel, walk; /* 0: opens */
} beneath[] = {
    {"file", 0, 0},
    {"./file", 0, 0},
    {"dir/file", 0, 0},
    {"dir//deep/./file", 0, 0},
    {"dir", 0, 0},
    {"dir/", 0, 0},
    {"dir/.", 0, 0},
    {".", 0, 0},
    {"./", 0, 0},
    {"..hidden", 0, 0},
    {"fifo", 0, 0},
    {"link-in", 0, -ELOOP},
    {"link-dir/file", 0, -ELOOP},
    {"link-dir/", 0, -ELOOP},
    {"dir/link-up-in", 0, -ELOOP},
    {"dir/../file", 0, -EXDEV},
    {"dir/..", 0, -EXDEV},
    {"none", -ENOENT, -ENOENT},
    {"none/file", -ENOENT, -ENOENT},
    {"file/", -ENOTDIR, -ENOTDIR},
    {"file/.", -ENOTDIR, -ENOTDIR},
    {"file/x", -ENOTDIR, -ENOTDIR},
    {"", -ENOENT, -ENOENT},
    {"/", -EXDEV, -EXDEV},
    {"/etc/passwd", -EXDEV, -EXDEV},
    {"//file", -EXDEV, -EXDEV},
    {"..", -EXDEV, -EXDEV},
    {"../", -EXDEV, -EXDEV},
    {"../out", -EXDEV, -EXDEV},
    {"./../out", -EXDEV, -EXDEV},
    {"dir/../../out", -EXDEV, -EXDEV},
    {"dir/deep/../../../out", -EXDEV, -EXDEV},
    {"../root/file", -EXDEV, -EXDEV},
    {"link-out", -EXDEV, -ELOOP},
    {"link-absolute", -EXDEV, -ELOOP},
    {"link-absolute-in", -EXDEV, -ELOOP},
    {"dir/link-far/out", -EXDEV, -ELOOP},
    {"link-loop", -ELOOP, -ELOOP},
    {"link-dangling", -ENOENT, -ELOOP},
    {"link-proc/etc/passwd", -EXDEV, -ELOOP},
};

static void look_beneath(int (*open_it)(int, cs_str), bool walk)
{
    for (size_t i = 0; i < ARRAY_LEN(beneath); i++) {
        int want = walk ? beneath[i].walk : beneath[i].kernel;
        /* Without a NUL behind it, and with bytes that would change the path. */
        char text[100];
        snprintf(text, sizeof(text), "%s/../../out", beneath[i].path);
        int fd = open_it(root, (cs_str){text, strlen(beneath[i].path)});
        if (want ? fd != want : fd < 0)
            fail_msg("row \"%s\": %d, not %d", beneath[i].path, fd, want);
        if (fd >= 0) {
            assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
            assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
            assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
            assert_false(fcntl(fd, F_GETFL) & O_PATH);
            close(fd);
        }
    }
    printf("rows: %zu\n", ARRAY_LEN(beneath));
}

static bool kernel_has_openat2(void)
{
    int fd = file_open_beneath(root, CS_S("link-in"));
    if (fd >= 0)
        close(fd);
    return fd != -ELOOP;
}

static void test_beneath(void **state)
{
    (void)state;
    if (!kernel_has_openat2())
        skip();
    look_beneath(file_open_beneath, false);
}

static void test_beneath_walk(void **state)
{
    (void)state;
    look_beneath(file_walk_beneath, true);
}

static void test_beneath_odd(void **state)
{
    (void)state;
    static char text[PATH_MAX + 10];
    int (*const ways[])(int, cs_str) = {file_open_beneath, file_walk_beneath};
    for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
        assert_int_equal(ways[w](root, (cs_str){"file\0x", 6}), -EINVAL);
        memset(text, 'a', sizeof(text));
        assert_int_equal(ways[w](root, (cs_str){text, NAME_MAX + 1}), -ENAMETOOLONG);
        assert_int_equal(ways[w](root, (cs_str){text, PATH_MAX}), -ENAMETOOLONG);
        assert_int_equal(ways[w](root, (cs_str){text, NAME_MAX}), -ENOENT);
        memset(text, '/', sizeof(text));
        memcpy(text, "dir", 3);
        memcpy(text + PATH_MAX - 5, "file", 4);
        int fd = ways[w](root, (cs_str){text, PATH_MAX - 1});
        assert_true(fd >= 0);
        close(fd);
    }
}

/* No way leaks a descriptor, whether it opens or not. */
static void test_beneath_leak(void **state)
{
    (void)state;
    int before = dup(0);
    close(before);
    for (size_t i = 0; i < ARRAY_LEN(beneath); i++) {
        int a = file_open_beneath(root, str_of(beneath[i].path));
        int b = file_walk_beneath(root, str_of(beneath[i].path));
        fd_close(&a);
        fd_close(&b);
    }
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
}

static void test_content(void **state)
{
    (void)state;
    char text[10] = "";
    int fd = file_walk_beneath(root, CS_S("dir/deep/file"));
    assert_int_equal(read(fd, text, sizeof(text) - 1), 6);
    assert_string_equal(text, "inside");
    close(fd);
}

static void test_read(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_add_z(&b, "before ");
    assert_int_equal(file_read(at("out"), 6, &b), 0);
    assert_string_equal(b.p, "before secret");
    assert_int_equal(file_read(at("out"), 5, &b), -EFBIG);
    assert_string_equal(b.p, "before secret");
    assert_int_equal(file_read(at("none"), 5, &b), -ENOENT);
    assert_int_equal(file_read(at("root"), 5, &b), -EISDIR);
    assert_string_equal(b.p, "before secret");
    buf_clear(&b);
    for (int i = 0; i < 50000; i++)
        buf_printf(&b, "%d,", i);
    assert_int_equal(file_write_atomic(at("large"), buf_str(&b), 0600), 0);
    struct buf c = {0};
    assert_int_equal(file_read(at("large"), 1 << 20, &c), 0);
    assert_true(str_eq(buf_str(&b), buf_str(&c)));
    buf_free(&b);
    buf_free(&c);
}

static void test_write(void **state)
{
    (void)state;
    struct stat st;
    struct buf b = {0};
    assert_int_equal(file_write_atomic(at("new"), CS_S("one"), 0640), 0);
    assert_int_equal(stat(at("new"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    ino_t first = st.st_ino;
    assert_int_equal(file_write_atomic(at("new"), CS_S("two"), 0644), 0);
    assert_int_equal(stat(at("new"), &st), 0);
    assert_int_not_equal(st.st_ino, first);
    assert_int_equal(file_read(at("new"), 10, &b), 0);
    assert_string_equal(b.p, "two");
    assert_int_equal(file_write_atomic(at("none/new"), CS_S("x"), 0644), -ENOENT);
    assert_int_equal(file_write_atomic(at("root"), CS_S("x"), 0644), -EISDIR);
    char command[100];
    snprintf(command, sizeof(command), "ls %s | grep -q 'new\\.\\|root\\.'", top);
    assert_int_not_equal(system(command), 0); /* no temporary file stays */
    buf_free(&b);
}

static void test_log(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(file_check_log(at("log")), 0);
    assert_int_equal(access(at("log"), F_OK), -1); /* it makes nothing */
    int fd = file_open_log(at("log"));
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFL) & O_APPEND);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777 & ~0640u, 0);
    close(fd);
    assert_int_equal(file_check_log(at("log")), 0);
    assert_int_equal(file_check_log("/dev/null"), 0);
    assert_int_equal(file_check_log(at("root")), -EISDIR);
    assert_int_equal(file_open_log(at("root")), -EISDIR);
    assert_int_equal(file_check_log(at("none/")), -EISDIR);
    assert_int_equal(file_check_log(at("none/log")), -ENOENT);
    assert_int_equal(file_open_log(at("none/log")), -ENOENT);
    assert_int_equal(file_check_log(at("log/log")), -ENOTDIR);
}

static void test_log_that_is_a_pipe(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(file_open_log(at("pipe")), -ENXIO); /* and does not hang */
    int reader = open(at("pipe"), O_RDONLY | O_NONBLOCK);
    int fd = file_open_log(at("pipe"));
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd);
    close(reader);
    unlink(at("pipe"));
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static void test_modes_under_any_umask(void **state)
{
    (void)state;
    static const mode_t masks[] = {0, 022, 077, 0777};
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
        snprintf(path, sizeof(path), "%s", at("mask/a/b.log"));
        mode_t before = umask(masks[i]);
        assert_int_equal(file_make_parent(path), 0);
        int fd = file_open_log(path);
        assert_int_equal(umask(before), masks[i]); /* put back */
        assert_true(fd >= 0);
        assert_int_equal(mode_of(path), 0640);
        assert_int_equal(mode_of(at("mask/a")), 0755);
        fd_close(&fd);
        assert_int_equal(chmod(path, 0600), 0);
        fd = file_open_log(path);
        assert_int_equal(mode_of(path), 0600); /* one that was there stays as it is */
        fd_close(&fd);
        unlink(path);
        rmdir(at("mask/a"));
        rmdir(at("mask"));
    }
    printf("rows: %zu\n", ARRAY_LEN(masks));
}

static int open_and_close(const char *path)
{
    int fd = file_open_log(path), rc = fd < 0 ? fd : 0;
    fd_close(&fd);
    return rc;
}

/* Like /tmp. */
static void test_log_where_everybody_may_make_files(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at("open"), 0), 0);
    assert_int_equal(chmod(at("open"), 01777), 0);
    assert_int_equal(open_and_close(at("open/own.log")), 0);
    assert_int_equal(open_and_close(at("open/own.log")), 0);
    char link_to[PATH_MAX];
    snprintf(link_to, sizeof(link_to), "%s", at("out"));
    assert_int_equal(symlink(link_to, at("open/link.log")), 0);
    assert_int_equal(open_and_close(at("open/link.log")), -ELOOP);
    assert_int_equal(file_check_log(at("open/link.log")), -ELOOP);
    snprintf(link_to, sizeof(link_to), "%s", at("not-made"));
    assert_int_equal(symlink(link_to, at("open/new.log")), 0);
    assert_int_equal(open_and_close(at("open/new.log")), -ELOOP);
    assert_int_equal(access(at("not-made"), F_OK), -1);
    if (geteuid() == 0) {
        assert_int_equal(chown(at("open/own.log"), 65534, 65534), 0);
        assert_int_equal(open_and_close(at("open/own.log")), -EPERM);
        assert_int_equal(file_check_log(at("open/own.log")), -EPERM);
    }
    assert_int_equal(chmod(at("open"), 0755), 0);
    assert_int_equal(open_and_close(at("open/link.log")), 0);
    assert_int_equal(open_and_close(at("open/new.log")), 0);
    assert_int_equal(mode_of(at("not-made")), 0640);
    unlink(at("not-made"));
}

static void test_is_at(void **state)
{
    (void)state;
    int fd = file_open_log(at("moved.log"));
    assert_true(fd >= 0);
    assert_true(file_is_at(fd, at("moved.log")));
    assert_int_equal(rename(at("moved.log"), at("moved.log.1")), 0);
    assert_false(file_is_at(fd, at("moved.log")));
    assert_true(file_is_at(fd, at("moved.log.1")));
    int other = file_open_log(at("moved.log"));
    assert_false(file_is_at(fd, at("moved.log")));
    assert_true(file_is_at(other, at("moved.log")));
    unlink(at("moved.log.1"));
    assert_false(file_is_at(fd, at("moved.log.1")));
    assert_false(file_is_at(fd, at("moved.log/x"))); /* no folder */
    fd_close(&fd);
    fd_close(&other);
    int null = open("/dev/null", O_WRONLY);
    assert_true(file_is_at(null, at("none")));
    fd_close(&null);
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *dir, *path, *want;
    } joins[] = {
        {"/a", "b", "/a/b"}, {"/a/", "b", "/a/b"},  {"/a", "/b", "/b"},
        {"/", "b", "/b"},    {"a", "b/c", "a/b/c"}, {".", "b", "./b"},
    };
    static const struct {
        const char *path, *want;
    } dirs[] = {
        {"/a/b", "/a"}, {"/a", "/"}, {"a", "."},   {"a/b", "a"},    {"a//b", "a"},
        {"/", "/"},     {"", "."},   {"//a", "/"}, {"a/b/", "a/b"}, {"./x", "."},
    };
    for (size_t i = 0; i < ARRAY_LEN(joins); i++) {
        char *got = file_join(joins[i].dir, joins[i].path);
        assert_string_equal(got, joins[i].want);
        free(got);
    }
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        char *got = file_dirname(dirs[i].path);
        if (strcmp(got, dirs[i].want) != 0)
            fail_msg("row \"%s\": \"%s\"", dirs[i].path, got);
        free(got);
    }
    printf("rows: %zu\n", ARRAY_LEN(joins) + ARRAY_LEN(dirs));
}

static void test_make_parent(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(file_make_parent(at("x/y/z/file")), 0);
    assert_int_equal(stat(at("x/y/z"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(access(at("x/y/z/file"), F_OK), -1);
    assert_int_equal(file_make_parent(at("x/y/z/file")), 0);
    assert_int_equal(file_make_parent(at("out/y/file")), -ENOTDIR);
    assert_int_equal(file_make_parent(at("out/file")), -ENOTDIR);
    assert_int_equal(file_make_parent("file"), 0);
    assert_int_equal(file_make_parent("/file"), 0);
}

/* Each % is the folder of this test. */
static void in_top(const char *text, char *out)
{
    for (*out = '\0'; *text; text++)
        if (*text == '%')
            out = stpcpy(out, top);
        else {
            *out++ = *text;
            *out = '\0';
        }
}

static void test_self(void **state)
{
    (void)state;
    char want[PATH_MAX] = "";
    assert_true(readlink("/proc/self/exe", want, sizeof(want) - 1) > 0);
    char *self = file_self();
    assert_non_null(self);
    assert_string_equal(self, want);
    assert_int_equal(access(self, X_OK), 0);
    free(self);
    assert_int_equal(file_open_dir(at("out")), -ENOTDIR);
    assert_int_equal(file_open_dir(at("none")), -ENOENT);
}

/* A program is looked for where a shell would have found it, and keeps its name: what a link leads to may be another by
 * the next time. */
static void test_program(void **state)
{
    static const struct {
        const char *label, *argv0, *path, *want; /* want: below top; NULL: this program */
    } rows[] = {
        {"absolute", "%/bin/prog", "", "bin/prog"},
        {"absolute, and not there", "%/bin/none", "", "bin/none"},
        {"a link stays one", "%/bin/link", "", "bin/link"},
        {"relative", "bin/prog", "", "bin/prog"},
        {"from PATH", "prog", "/none:%/empty:%/bin:/usr/bin", "bin/prog"},
        {"PATH is relative", "prog", "bin", "bin/prog"},
        {"here, in PATH", "here", "/none:", "./here"},
        {"not executable", "text", "%/bin", NULL},
        {"a folder", "bin", "%", NULL},
        {"nowhere", "prog", "/none", NULL},
        {"empty", "", "%/bin", NULL},
    };
    char *old_path = strdup(getenv("PATH")), *old_dir = getcwd(NULL, 0), *self = file_self();
    (void)state;
    mkdir(at("bin"), 0755);
    mkdir(at("empty"), 0755);
    make_file("bin/prog", "#!/bin/sh\n");
    make_file("bin/text", "text");
    make_file("here", "#!/bin/sh\n");
    make_link("prog", "bin/link");
    assert_int_equal(chmod(at("bin/prog"), 0755) | chmod(at("here"), 0755) | chdir(top), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char argv0[PATH_MAX], path[PATH_MAX];
        in_top(rows[i].argv0, argv0);
        in_top(rows[i].path, path);
        setenv("PATH", path, 1);
        char *found = file_program(argv0);
        if (!found || strcmp(found, rows[i].want ? at(rows[i].want) : self) != 0)
            fail_msg("%s: %s", rows[i].label, found ? found : "nothing");
        free(found);
    }
    assert_int_equal(chdir(old_dir), 0);
    setenv("PATH", old_path, 1);
    free(old_path);
    free(old_dir);
    free(self);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beneath),
        cmocka_unit_test(test_beneath_walk),
        cmocka_unit_test(test_beneath_odd),
        cmocka_unit_test(test_beneath_leak),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_log_that_is_a_pipe),
        cmocka_unit_test(test_modes_under_any_umask),
        cmocka_unit_test(test_log_where_everybody_may_make_files),
        cmocka_unit_test(test_is_at),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_make_parent),
        cmocka_unit_test(test_self),
        cmocka_unit_test(test_program),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
