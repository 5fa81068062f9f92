/* shm_test.c - memory that children share; and sizes that are refused. */
#include "os/shm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_shared(void **state)
{
    (void)state;
    unsigned char *p = shm_new(10000, "test");
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 4096, 0);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(p[i], 0);
    pid_t pid = fork();
    if (pid == 0) {
        p[9999] = 7;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(p[9999], 7);
    shm_free(p, 10000);
    shm_free(NULL, 10000);
}

static void test_too_large(void **state)
{
    (void)state;
    static const size_t sizes[] = {(size_t)1 << 60, SIZE_MAX, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        errno = 0;
        assert_null(shm_new(sizes[i], "too large"));
        assert_int_equal(errno, ENOMEM);
    }
}

static int use_all(unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 1000)
        if (p[i] != 0)
            return 1;
    memset(p, 7, n);
    return p[n - 1] != 7;
}

static void test_limit_of_file_sizes(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {1 << 20, 1 << 20};
        int bad = setrlimit(RLIMIT_FSIZE, &limit) < 0;
        signal(SIGXFSZ, SIG_IGN);
        unsigned char *p = bad ? NULL : shm_new(2 << 20, "above the limit");
        bad = bad || !p || use_all(p, 2 << 20);
        shm_free(p, 2 << 20);
        _exit(bad);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_limit_of_file_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
