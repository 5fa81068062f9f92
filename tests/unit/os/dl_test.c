/* dl_test.c - private copies of a shared object; libcmocka is the one that is at hand. */
#include "os/dl.h"

#include "os/fd.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SYMBOL "_cmocka_run_group_tests"

static char library[4096];

static int find_library(void **state)
{
    (void)state;
    Dl_info info;
    if (dladdr(dlsym(RTLD_DEFAULT, SYMBOL), &info) == 0)
        return -1;
    snprintf(library, sizeof(library), "%s", info.dli_fname);
    return 0;
}

static void test_copy(void **state)
{
    (void)state;
    struct stat from, to;
    int fd = dl_copy(library);
    assert_true(fd >= 0);
    assert_int_equal(stat(library, &from), 0);
    assert_int_equal(fstat(fd, &to), 0);
    assert_int_equal(from.st_size, to.st_size);
    assert_int_not_equal(from.st_ino, to.st_ino);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fd, "x", 1), -1); /* sealed */
    assert_int_equal(ftruncate(fd, 0), -1);
    close(fd);
    assert_int_equal(dl_copy("/nonexistent/x.so"), -ENOENT);
    assert_int_equal(dl_copy("/tmp"), -EISDIR);
    assert_int_equal(dl_copy("/dev/null"), -EINVAL);
}

/* Holes cost nothing on the disk, and all of it in a memfd. */
static void test_too_large(void **state)
{
    (void)state;
    char path[] = "/tmp/cs-dl-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (256 << 20) + 1), 0);
    assert_int_equal(dl_copy(path), -EFBIG);
    close(fd);
    unlink(path);
}

static void test_open(void **state)
{
    (void)state;
    const char *error = "as before";
    int fd = dl_copy(library);
    void *handle = dl_open(fd, "my.so", &error);
    assert_non_null(handle);
    assert_null(error);
    void *symbol = dl_symbol(handle, SYMBOL);
    assert_non_null(symbol);
    assert_ptr_not_equal(symbol, dlsym(RTLD_DEFAULT, SYMBOL)); /* a copy of its own */
    assert_null(dl_symbol(handle, "no_such_symbol"));
    dl_close(handle);
    close(fd);
    dl_close(NULL);
}

/* The number of a closed descriptor comes back; the object must not. */
static void test_same_number(void **state)
{
    (void)state;
    void *handles[5];
    const char *error;
    int first = -1;
    for (int i = 0; i < 5; i++) {
        int fd = dl_copy(library);
        first = first < 0 ? fd : first;
        assert_int_equal(fd, first);
        handles[i] = dl_open(fd, "my.so", &error);
        assert_non_null(handles[i]);
        close(fd);
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(dl_symbol(handles[i], SYMBOL), dl_symbol(handles[k], SYMBOL));
    }
    for (int i = 0; i < 5; i++)
        dl_close(handles[i]);
}

static void test_no_library(void **state)
{
    (void)state;
    const char *error = NULL;
    char path[] = "/tmp/dl_test.XXXXXX";
    int file = mkstemp(path);
    assert_int_equal(fd_write_all(file, "not an ELF file, but long enough to be one", 42), 0);
    close(file);
    int fd = dl_copy(path);
    unlink(path);
    assert_true(fd >= 0);
    assert_null(dl_open(fd, "/srv/modules/my.so", &error));
    assert_non_null(error);
    assert_memory_equal(error, "/srv/modules/my.so: ", 20);
    assert_null(strstr(error, "/proc"));
    close(fd);
    assert_null(dl_open(-1, "my.so", &error));
    assert_non_null(strstr(error, "my.so"));
    assert_null(strstr(error, "/proc"));
}

/* What a library brings is in the list as long as it is loaded, and what was there before is not taken for new. */
static void test_list(void **state)
{
    struct dl_objects before, now;
    size_t fresh = 0;

    (void)state;
    dl_list(&before);
    assert_true(before.n > 0);
    dl_list(&now);
    assert_int_equal(now.n, before.n);
    for (size_t i = 0; i < now.n; i++) {
        assert_true(dl_list_has(&before, &now.v[i]));
        assert_int_equal(now.v[i].path[0], '/');
    }
    dl_list_free(&now);
    void *handle = dlopen("libutil.so.1", RTLD_NOW | RTLD_LOCAL);
    assert_non_null(handle);
    dl_list(&now);
    for (size_t i = 0; i < now.n; i++)
        fresh += !dl_list_has(&before, &now.v[i]);
    assert_int_equal(fresh, 1);
    dlclose(handle);
    dl_list_free(&now);
    dl_list_free(&before);
}

static void test_definer(void **state)
{
    (void)state;
    assert_null(dl_definer("nobody_has_this_name"));
    assert_non_null(strstr(dl_definer("getpid"), "libc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),       cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_open),       cmocka_unit_test(test_same_number),
        cmocka_unit_test(test_no_library), cmocka_unit_test(test_list),
        cmocka_unit_test(test_definer),
    };
    return cmocka_run_group_tests(tests, find_library, NULL);
}
