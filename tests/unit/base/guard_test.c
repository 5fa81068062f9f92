/* guard_test.c - what has been given back cannot be touched, keeps its addresses for so many steps, and then is gone. */
#include "base/guard.h"

#include "base/arena.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The kernel looks, so that nothing faults. */
static bool is_readable(const void *p)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    bool good = write(ends[1], p, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return good;
}

static bool is_mapped(void *p)
{
    unsigned char there;
    uintptr_t page = (uintptr_t)p & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
    return mincore((void *)page, 1, &there) == 0;
}

static void what_is_given_back_faults(void **state)
{
    (void)state;
    struct guard *g = guard_new(3);
    size_t n = 100;
    char *p = guard_take(g, &n);
    assert_int_equal(n, sysconf(_SC_PAGESIZE));
    memset(p, 1, n);
    guard_give_back(g, p, n);
    assert_false(is_readable(p));
    assert_false(is_readable(p + n - 1));
    assert_true(is_mapped(p));
    guard_free(g);
    assert_false(is_mapped(p));
}

static void for_so_many_steps(void **state)
{
    (void)state;
    struct guard *g = guard_new(3);
    size_t n = 1, m = 20000;
    char *p = guard_take(g, &n), *q = guard_take(g, &m);
    guard_give_back(g, p, n);
    guard_step(g); /* its own */
    guard_give_back(g, q, m);
    for (int i = 0; i < 2; i++) {
        guard_step(g);
        assert_true(is_mapped(p));
    }
    guard_step(g);
    assert_false(is_mapped(p));
    assert_true(is_mapped(q));
    guard_step(g);
    assert_false(is_mapped(q));
    guard_free(g);
}

static void not_more_than_there_is_room_for(void **state)
{
    (void)state;
    static char *p[GUARD_PIECES + 10];
    struct guard *g = guard_new(1000);
    size_t n = 1;
    for (size_t i = 0; i < GUARD_PIECES + 10; i++) {
        p[i] = guard_take(g, &n);
        guard_give_back(g, p[i], n);
    }
    assert_true(is_mapped(p[10]));
    assert_false(is_readable(p[GUARD_PIECES + 9]));
    guard_free(g);
    assert_false(is_mapped(p[GUARD_PIECES + 9]));
}

static void an_arena_with_a_guard(void **state)
{
    (void)state;
    struct arena_pool pool;
    arena_pool_init(&pool, 8192, 16);
    arena_pool_guard(&pool, 2);
    char *small[4], *large[4];
    for (int i = 0; i < 4; i++) {
        struct arena a;
        arena_init(&a, &pool);
        small[i] = memset(arena_alloc(&a, 100), 1, 100);
        large[i] = memset(arena_alloc(&a, 100000), 1, 100000);
        assert_true(is_readable(small[i]));
        arena_drop(&a);
    }
    for (int i = 2; i < 4; i++) {
        assert_true(is_mapped(small[i]) && is_mapped(large[i]));
        assert_false(is_readable(small[i]));
        assert_false(is_readable(large[i]));
        assert_false(is_readable(large[i] + 99999));
    }
    assert_int_equal(pool.nspare, 0);
    arena_pool_drain(&pool);
    assert_false(is_mapped(small[3]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_back_faults),
        cmocka_unit_test(for_so_many_steps),
        cmocka_unit_test(not_more_than_there_is_room_for),
        cmocka_unit_test(an_arena_with_a_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
