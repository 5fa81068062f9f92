/* Fibers: who runs when, and what they find again. */
#include "os/fiber.h"

#include "os/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SIZE ((size_t)128 * 1024)

static struct stack_pool pool;

static int set_up(void **state)
{
    (void)state;
    stack_pool_init(&pool, SIZE, 4);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stack_pool_drain(&pool);
    return pool.nstacks == 0 ? 0 : -1;
}

static struct stack *begin(struct fiber *f, void (*run)(void *arg), void *arg)
{
    struct stack *s = stack_take(&pool);
    assert_non_null(s);
    fiber_begin(f, s->low, s->size, run, arg);
    return s;
}

/* ---- Turns ---- */

struct turns {
    struct fiber fiber;
    int stops, seen;
};

static void take_turns(void *arg)
{
    struct turns *t = arg;
    for (int i = 0; i < t->stops; i++) {
        t->seen++;
        fiber_stop(&t->fiber);
    }
    t->seen += 100;
}

static void test_turns(void **state)
{
    (void)state;
    for (int stops = 0; stops < 5; stops++) {
        struct turns t = {.stops = stops};
        struct stack *s = begin(&t.fiber, take_turns, &t);
        assert_int_equal(t.seen, 0);
        for (int i = 0; i < stops; i++) {
            assert_true(fiber_resume(&t.fiber));
            assert_int_equal(t.seen, i + 1);
        }
        assert_false(fiber_resume(&t.fiber));
        assert_int_equal(t.seen, stops + 100);
        stack_give(&pool, s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_turns, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
