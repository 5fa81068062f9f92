/* arena_test.c - pieces keep their bytes, chunks come back, and ASan sees what is not given out. */
#include "base/arena.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#if ARENA_POISONS
#include <sanitizer/asan_interface.h>
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PIECES 3000

static void test_empty(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL);
    assert_null(a.chunks);
    arena_drop(&a);
    arena_drop(&a);
    assert_int_equal(a.total, 0);
}

static void test_zero_bytes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL);
    void *first = arena_alloc(&a, 0);
    assert_non_null(first);
    assert_ptr_not_equal(first, arena_alloc(&a, 0));
    assert_ptr_not_equal(arena_alloc(&a, 16), arena_alloc(&a, 0));
    arena_drop(&a);
}

/* Pieces of all sizes are filled; none may disturb another. */
static void fill_and_look(struct arena *a, unsigned seed)
{
    static struct {
        unsigned char *p;
        size_t n;
    } piece[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        size_t n = (size_t)rand_r(&seed) % (i % 50 == 0 ? 20000 : 200);
        piece[i].p = arena_alloc(a, n);
        piece[i].n = n;
        assert_int_equal((uintptr_t)piece[i].p % 16, 0);
        memset(piece[i].p, (int)(i & 255), n);
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < piece[i].n; k++)
            if (piece[i].p[k] != (i & 255))
                fail_msg("piece %zu of %zu bytes was overwritten", i, piece[i].n);
    }
}

static void test_pieces(void **state)
{
    (void)state;
    struct arena_pool pool;
    struct arena a;
    arena_pool_init(&pool, 4096, 8);
    arena_init(&a, &pool);
    for (unsigned round = 0; round < 5; round++) {
        fill_and_look(&a, round);
        arena_drop(&a);
        assert_int_equal(pool.nspare, 8);
        assert_int_equal(a.total, 0);
    }
    arena_pool_drain(&pool);
    assert_int_equal(pool.nspare, 0);
    arena_init(&a, NULL);
    fill_and_look(&a, 9);
    arena_drop(&a);
}

/* In the steady state the same chunk is used over and over. */
static void test_steady(void **state)
{
    (void)state;
    struct arena_pool pool;
    struct arena a;
    arena_pool_init(&pool, 4096, 4);
    arena_init(&a, &pool);
    void *first = arena_alloc(&a, 100);
    arena_drop(&a);
    for (int i = 0; i < 100; i++) {
        assert_ptr_equal(arena_alloc(&a, 100), first);
        assert_int_equal(pool.nspare, 0);
        arena_drop(&a);
        assert_int_equal(pool.nspare, 1);
    }
    arena_pool_drain(&pool);
}

/* A large piece has a chunk of its own and the small ones go on where they were. */
static void test_large(void **state)
{
    (void)state;
    struct arena_pool pool;
    struct arena a;
    arena_pool_init(&pool, 4096, 4);
    arena_init(&a, &pool);
    char *before = arena_alloc(&a, 16);
    char *large = arena_zalloc(&a, 100000);
    char *after = arena_alloc(&a, 16);
    large[99999] = 1;
    assert_true(after > before && after - before < 100);
    assert_int_equal(a.total, 100032);
    arena_drop(&a);
    assert_int_equal(pool.nspare, 1);
    arena_pool_drain(&pool);
}

/* Room to the last byte of a chunk, and one byte more. */
static void test_exact_fit(void **state)
{
    (void)state;
    struct arena_pool pool;
    struct arena a;
    arena_pool_init(&pool, 1024, 4);
    for (size_t n = 900; n < 1100; n++) {
        arena_init(&a, &pool);
        memset(arena_alloc(&a, n), 1, n);
        memset(arena_alloc(&a, n), 2, n);
        arena_drop(&a);
    }
    arena_pool_drain(&pool);
}

static void test_strings(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL);
    cs_str s = arena_dup(&a, (cs_str){"abcdef", 3});
    assert_true(str_is(s, "abc"));
    assert_int_equal(s.p[3], '\0');
    s = arena_dup(&a, (cs_str){NULL, 0});
    assert_int_equal(s.n, 0);
    assert_string_equal(s.p, "");
    assert_string_equal(arena_strdup(&a, "xyz"), "xyz");
    for (int n = 250; n < 262; n++) {
        s = arena_printf(&a, "%0*d", n, 5);
        assert_int_equal(s.n, n);
        assert_int_equal(strlen(s.p), n);
        assert_int_equal(s.p[n - 1], '5');
    }
    arena_drop(&a);
}

static void test_poison(void **state)
{
    (void)state;
#if ARENA_POISONS
    struct arena_pool pool;
    struct arena a;
    arena_pool_init(&pool, 4096, 4);
    arena_init(&a, &pool);
    char *p = arena_alloc(&a, 20), *q = arena_alloc(&a, 16);
    assert_false(__asan_address_is_poisoned(p + 19));
    assert_true(__asan_address_is_poisoned(p + 20));
    assert_false(__asan_address_is_poisoned(q));
    assert_true(__asan_address_is_poisoned(q + 16));
    assert_true(__asan_address_is_poisoned(q - 1));
    arena_drop(&a);
    assert_true(__asan_address_is_poisoned(p));
    arena_pool_drain(&pool);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),   cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_pieces),  cmocka_unit_test(test_steady),
        cmocka_unit_test(test_large),   cmocka_unit_test(test_exact_fit),
        cmocka_unit_test(test_strings), cmocka_unit_test(test_poison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
