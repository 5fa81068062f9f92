/* shm_test.c - memory that children share; and sizes that are refused. */
#include "os/shm.h"

#include <errno.h>
#include <signal.h>
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

/* In a child that may have no file above 1 MiB: should shm_new ask the kernel for such a size after
 * all, it gets EFBIG there and not the memory of the whole machine. */
static void test_too_large(void **state)
{
    (void)state;
    static const size_t sizes[] = {(size_t)1 << 60, SIZE_MAX, SIZE_MAX / 2};
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {1 << 20, 1 << 20};
        int bad = setrlimit(RLIMIT_FSIZE, &limit) < 0;
        signal(SIGXFSZ, SIG_IGN);
        for (size_t i = 0; !bad && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            errno = 0;
            bad = shm_new(sizes[i], "too large") != NULL || errno != ENOMEM;
        }
        errno = 0;
        bad = bad || shm_new(2 << 20, "above the limit") != NULL || errno != EFBIG;
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
