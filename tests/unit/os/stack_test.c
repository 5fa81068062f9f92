/* Stacks: what is kept, what is given back, and how deep they were used. */
#include "os/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE ((size_t)128 * 1024)

static void test_spare(void **state)
{
    (void)state;
    struct stack_pool p;
    struct stack *taken[5];
    stack_pool_init(&p, SIZE, 2);
    for (size_t i = 0; i < 5; i++) {
        taken[i] = stack_take(&p);
        assert_non_null(taken[i]);
        assert_int_equal(p.nstacks, i + 1);
    }
    for (size_t i = 0; i < 5; i++)
        stack_give(&p, taken[i]);
    assert_int_equal(p.nspare, 2);
    assert_int_equal(p.nstacks, 2);
    struct stack *again = stack_take(&p);
    assert_int_equal(p.nspare, 1);
    assert_int_equal(again->uses, 2);
    stack_give(&p, again);
    stack_pool_drain(&p);
    assert_int_equal(p.nspare, 0);
    assert_int_equal(p.nstacks, 0);
}

static void test_used(void **state)
{
    (void)state;
    struct stack_pool p;
    stack_pool_init(&p, SIZE, 2);
    struct stack *s = stack_take(&p);
    assert_int_equal(stack_used(s), 0);
    s->low[s->size - 8] = 1;
    assert_int_equal(stack_used(s), 8);
    s->low[s->size - 20000] = 1;
    assert_int_equal(stack_used(s), 20000);
    s->low[0] = 1;
    assert_int_equal(stack_used(s), s->size);
    stack_give(&p, s);
    assert_int_equal(p.peak, s->size);
    stack_pool_drain(&p);
}

static void test_guard(void **state)
{
    (void)state;
    struct stack_pool p;
    stack_pool_init(&p, SIZE, 2);
    struct stack *s = stack_take(&p);
    uintptr_t low = (uintptr_t)s->low;
    assert_false(stack_guards(s, low));
    assert_true(stack_guards(s, low - 1));
    assert_true(stack_guards(s, low - 65536));
    assert_false(stack_guards(s, low - 65537));
    stack_give(&p, s);
    stack_pool_drain(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_spare), cmocka_unit_test(test_used),
                                       cmocka_unit_test(test_guard)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
