/* buf_test.c - growing, printing, consuming; and the heap calls below. */
#include "base/buf.h"

#include "base/mem.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_grow(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 10000; i++) {
        buf_add_char(&b, (char)('a' + i % 26));
        assert_int_equal(b.p[b.n], '\0');
    }
    assert_int_equal(b.n, 10000);
    for (size_t i = 0; i < b.n; i++)
        assert_int_equal(b.p[i], 'a' + (int)(i % 26));
    buf_clear(&b);
    assert_int_equal(b.p[0], '\0');
    buf_free(&b);
    assert_null(b.p);
    assert_int_equal(b.cap, 0);
}

static void test_printf(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_printf(&b, "%s", "");
    assert_string_equal(b.p, "");
    /* Every length around the room that is there at first. */
    for (int n = 0; n < 300; n++) {
        buf_clear(&b);
        buf_printf(&b, "<%*d>", n, 7);
        assert_int_equal(b.n, (size_t)(n > 1 ? n : 1) + 2);
        assert_int_equal(b.p[b.n - 1], '>');
        assert_int_equal(b.p[b.n - 2], '7');
        assert_int_equal(strlen(b.p), b.n);
        buf_free(&b);
    }
}

static void test_consume(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_consume(&b, 0);
    buf_add_str(&b, CS_S("hello world"));
    buf_consume(&b, 6);
    assert_string_equal(b.p, "world");
    buf_consume(&b, 5);
    assert_string_equal(b.p, "");
    assert_int_equal(buf_str(&b).n, 0);
    buf_free(&b);
}

static void test_reserve(void **state)
{
    (void)state;
    struct buf b = {0};
    char *to = buf_reserve(&b, 5000);
    memset(to, 'x', 5000);
    buf_added(&b, 5000);
    assert_int_equal(b.n, 5000);
    assert_int_equal(strlen(b.p), 5000);
    buf_add(&b, NULL, 0);
    assert_int_equal(b.n, 5000);
    buf_free(&b);
}

static void test_mem(void **state)
{
    (void)state;
    unsigned char *p = mem_alloc(100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    p = mem_resize(p, 1000);
    p[999] = 1;
    free(p);
    p = mem_alloc(0);
    assert_non_null(p);
    free(p);
    char *s = mem_strndup("abcdef", 3), *t = mem_printf("%s-%d", s, 5), *u = mem_strdup("");
    assert_string_equal(s, "abc");
    assert_string_equal(t, "abc-5");
    assert_string_equal(u, "");
    free(s);
    free(t);
    free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grow),    cmocka_unit_test(test_printf),
        cmocka_unit_test(test_consume), cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_mem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
