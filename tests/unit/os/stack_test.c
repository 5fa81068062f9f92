/* Stacks: what is kept, what is given back, what they cost, how deep they were used, and what lies below. */
#include "os/stack.h"

#include "base/check.h"
#include "os/fiber.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE  ((size_t)128 * 1024)
#define GUARD ((size_t)256 * 1024)

static struct stack_pool pool;

static int set_up(void **state)
{
    (void)state;
    stack_pool_init(&pool, SIZE, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stack_pool_drain(&pool);
    return pool.nstacks == 0 && pool.nspare == 0 ? 0 : -1;
}

/* Of the memory of this process; the number of those, or 0 where the kernel does not tell. */
static long number_in(const char *path, const char *format)
{
    char line[256];
    long n = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, format, &n) == 1)
            break;
    if (f)
        fclose(f);
    return n;
}

static long mappings(void)
{
    long n = 0;
    int c;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

static size_t resident_pages(const struct stack *s)
{
    unsigned char there[4096];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (s->size + page - 1) / page, sum = 0;
    assert_true(n <= sizeof there);
    assert_int_equal(mincore(s->low, s->size, there), 0);
    for (size_t i = 0; i < n; i++)
        sum += there[i] & 1;
    return sum;
}

/* ---- Keeping ---- */

static void test_spare(void **state)
{
    (void)state;
    struct stack *taken[5];
    for (size_t i = 0; i < 5; i++) {
        taken[i] = stack_take(&pool);
        assert_non_null(taken[i]);
        assert_int_equal(pool.nstacks, i + 1);
        assert_true(taken[i]->size <= SIZE * STACK_SCALE &&
                    taken[i]->size > SIZE * STACK_SCALE - 128);
        assert_int_equal((uintptr_t)taken[i]->low % 16, 0);
        assert_int_equal(taken[i]->size % 16, 0);
    }
    for (size_t i = 0; i < 5; i++)
        stack_give(&pool, taken[i]);
    assert_int_equal(pool.nspare, 2);
    assert_int_equal(pool.nstacks, 2);
    struct stack *again = stack_take(&pool);
    assert_int_equal(pool.nspare, 1);
    assert_int_equal(again->uses, 2);
    stack_give(&pool, again);
}

static void test_none_is_kept(void **state)
{
    (void)state;
    long before = mappings();
    stack_pool_init(&pool, SIZE, 0);
    for (int i = 0; i < 100; i++) {
        struct stack *s = stack_take(&pool);
        assert_non_null(s);
        s->low[0] = 1;
        stack_give(&pool, s);
        assert_int_equal(pool.nstacks, 0);
    }
    assert_in_range(mappings(), before, before + 2);
}

/* ---- How deep ---- */

static void test_used(void **state)
{
    (void)state;
    struct stack *s = stack_take(&pool);
    assert_int_equal(stack_used(s), 0);
    s->low[s->size - 8] = 1;
    assert_int_equal(stack_used(s), 8);
    s->low[s->size - 20000] = 1;
    assert_int_equal(stack_used(s), 20000);
    ((volatile char *)s->low)[0] = 0; /* touched, but nothing is there */
    assert_int_equal(stack_used(s), 20000);
    s->low[0] = 1;
    assert_int_equal(stack_used(s), s->size);
    stack_give(&pool, s);
    assert_int_equal(pool.peak, s->size);
}

/* Looking touches nothing. */
static void test_looking(void **state)
{
    (void)state;
    struct stack *s = stack_take(&pool);
    s->low[s->size - 20000] = 1;
    size_t before = resident_pages(s);
    assert_true(before <= 2);
    assert_int_equal(stack_used(s), 20000);
    assert_int_equal(resident_pages(s), before);
    stack_give(&pool, s);
}

static void test_peak(void **state)
{
    (void)state;
    size_t expected = 0;
    for (unsigned use = 1; use <= 20; use++) {
        struct stack *s = stack_take(&pool);
        assert_int_equal(s->uses, use);
        s->low[s->size - 1000 * use] = 1;
        stack_give(&pool, s);
        if (use == 1 || use == 2 || use == 4 || use == 8 || use == 16)
            expected = 1000 * use;
        assert_int_equal(pool.peak, expected);
    }
}

/* ---- What it costs ---- */

static void wait_once(void *arg)
{
    fiber_stop(arg);
}

static void test_touches_little(void **state)
{
    (void)state;
    struct fiber f;
    struct stack *s = stack_take(&pool);
    fiber_begin(&f, s->low, s->size, wait_once, &f);
    assert_true(fiber_resume(&f));
    assert_true(resident_pages(s) <= 2);
    assert_false(fiber_resume(&f));
    stack_give(&pool, s);
}

#define MANY (FIBER_ASAN ? 1000u : 10000u)

static void test_many(void **state)
{
    (void)state;
    static struct stack *taken[10000];
    long before = mappings(), pages = number_in("/proc/self/statm", "%*d %ld");
    for (size_t i = 0; i < MANY; i++) {
        taken[i] = stack_take(&pool);
        if (!taken[i])
            fail_msg("stack %zu: %s", i, strerror(errno));
    }
    long used = number_in("/proc/self/statm", "%*d %ld") - pages;
    assert_true(mappings() - before <= 2 * (long)MANY + 10);
    assert_true(FIBER_ASAN || used < 2 * (long)MANY);
    for (size_t i = 0; i < MANY; i++)
        stack_give(&pool, taken[i]);
    assert_int_equal(pool.nstacks, 2);
    assert_true(mappings() - before <= 20);
    print_message("%u stacks: %ld pages\n", MANY, used);
}

/* ---- Below ---- */

static void test_guard(void **state)
{
    (void)state;
    struct stack *s = stack_take(&pool);
    uintptr_t low = (uintptr_t)s->low;
    assert_false(stack_guards(s, low));
    assert_true(stack_guards(s, low - 1));
    assert_true(stack_guards(s, low - GUARD));
    assert_false(stack_guards(s, low - GUARD - 1));
    stack_give(&pool, s);
}

static struct stack *endless;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    _exit(stack_guards(endless, (uintptr_t)info->si_addr) ? 33 : 34);
}

__attribute__((noinline)) static int fall(volatile int *n)
{
    volatile char room[1000];
    room[0] = (char)*n;
    if (*n < 0)
        return 0;
    return fall(n) + room[0];
}

static void fall_for_ever(void *arg)
{
    volatile int n = 1;
    (void)arg;
    _exit(fall(&n) ? 35 : 36);
}

_Noreturn static void overflow(void)
{
    static char other[65536];
    stack_t mine = {.ss_sp = other, .ss_size = sizeof other};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct fiber f;
    endless = stack_take(&pool);
    check(sigaltstack(&mine, NULL) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
    fiber_begin(&f, endless->low, endless->size, fall_for_ever, NULL);
    fiber_resume(&f);
    _exit(37);
}

/* What `body` says in a child: its exit code. */
static int code_of(void (*body)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body();
        _exit(0);
    }
    assert_true(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status))
        fail_msg("the child died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void test_overflow(void **state)
{
    (void)state;
    assert_int_equal(code_of(overflow), 33);
}

/* ---- Without memory ---- */

/* Those taken so far are still there, and a stack that was not made has left nothing. */
static void take_until_none(void)
{
    unsigned n = 0;
    stack_pool_init(&pool, SIZE, 1000000);
    while (stack_take(&pool))
        n++;
    if (errno != ENOMEM)
        _exit(41);
    if (pool.nstacks != n || pool.spare)
        _exit(42);
}

static void without_memory(void)
{
    long pages = number_in("/proc/self/statm", "%ld");
    rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + 100 * (SIZE + GUARD) + SIZE;
    struct rlimit limit = {most, most};
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        _exit(40);
    take_until_none();
    if (pool.nstacks < 90 || pool.nstacks > 101)
        _exit(43);
}

/* Every second page of much memory that nobody touches has rights of its own. */
static void without_mappings(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (size_t)number_in("/proc/sys/vm/max_map_count", "%ld") * page + page;
    char *at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        _exit(40);
    size_t n = 0;
    while (n + 2 * page < size && mprotect(at + n, page, PROT_READ) == 0)
        n += 2 * page;
    if (n + 2 * page >= size)
        _exit(44);
    munmap(at + n - 40 * page, 38 * page); /* room for some */
    take_until_none();
    if (pool.nstacks < 5 || pool.nstacks > 100)
        _exit(45);
}

static void test_without(void **state)
{
    (void)state;
    long most = number_in("/proc/sys/vm/max_map_count", "%ld");
    if (FIBER_ASAN) {
        print_message("ASan does not bear limits of memory\n");
        skip();
    }
    assert_int_equal(code_of(without_memory), 0);
    if (most > 0 && most < 300000)
        assert_int_equal(code_of(without_mappings), 0);
    else
        print_message("not tried: %ld mappings are too many to use up\n", most);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_spare),    TEST(test_none_is_kept),   TEST(test_used), TEST(test_looking),
        TEST(test_peak),     TEST(test_touches_little), TEST(test_many), TEST(test_guard),
        TEST(test_overflow), TEST(test_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
