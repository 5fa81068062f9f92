/* timer_test.c - the wheel beside a plain array of moments. */
#include "event/timer.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define N 150

static struct timer_wheel wheel;
static uint64_t seed;

/* The model: when each timer is due, 0 = not set. */
static struct model {
    struct timer timer;
    uint64_t due;
} model[N];

static struct {
    uint64_t run_to; /* what timer_run was called with */
    uint64_t last;   /* due of the one that fired before */
    size_t fired;
    bool meddle; /* callbacks set and clear others */
} seen;

static uint64_t any(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Of any magnitude up to 2^bits: as many small ones as large ones. */
static uint64_t span(unsigned bits)
{
    return any(UINT64_C(1) << any(bits + 1));
}

static void set_one(struct model *m, uint64_t due)
{
    timer_set_at(&wheel, &m->timer, due);
    m->due = due;
}

static void clear_one(struct model *m)
{
    timer_clear(&wheel, &m->timer);
    m->due = 0;
}

static void on_due(struct timer *t)
{
    struct model *m = CONTAINER_OF(t, struct model, timer);
    assert_true(m->due != 0);
    assert_true(m->due <= seen.run_to);
    assert_true(m->due >= seen.last);
    assert_int_equal(wheel.now, m->due);
    assert_false(timer_is_set(t));
    seen.last = m->due;
    seen.fired++;
    m->due = 0;
    if (!seen.meddle)
        return;
    if (any(3) == 0)
        set_one(m, wheel.now + 1 + span(12));
    struct model *other = &model[any(N)];
    if (any(3) == 0)
        clear_one(other);
    else if (any(3) == 0)
        set_one(other, wheel.now + 1 + span(16));
}

static void compare(uint64_t now)
{
    uint64_t first = UINT64_MAX;
    size_t count = 0;
    for (size_t i = 0; i < N; i++) {
        if (model[i].timer.due != model[i].due) {
            fail_msg("timer %zu is due at %llu, not %llu", i,
                     (unsigned long long)model[i].timer.due, (unsigned long long)model[i].due);
        }
        count += model[i].due != 0;
        if (model[i].due && model[i].due < first)
            first = model[i].due;
    }
    assert_int_equal(wheel.count, count);
    int64_t next = timer_next(&wheel, now);
    if (count == 0)
        assert_int_equal(next, -1);
    else
        assert_true(next >= 0 && (uint64_t)next <= first - now);
}

static void advance(uint64_t now)
{
    seen.run_to = now;
    seen.last = 0;
    timer_run(&wheel, now);
    for (size_t i = 0; i < N; i++) {
        if (model[i].due && model[i].due <= now) {
            fail_msg("timer %zu, due at %llu, did not fire at %llu", i,
                     (unsigned long long)model[i].due, (unsigned long long)now);
        }
    }
    compare(now);
}

static void start(uint64_t now)
{
    timer_wheel_init(&wheel, now);
    for (size_t i = 0; i < N; i++) {
        timer_init(&model[i].timer, on_due);
        model[i].due = 0;
    }
}

static void run_model(uint64_t now, unsigned set_bits, unsigned step_bits, int rounds)
{
    start(now);
    for (int round = 0; round < rounds; round++) {
        for (uint64_t ops = any(8); ops; ops--) {
            struct model *m = &model[any(N)];
            if (any(4) == 0)
                clear_one(m);
            else if (m->due && any(3) == 0)
                set_one(m, m->due + span(set_bits)); /* later: stays in its slot */
            else
                set_one(m, now + 1 + span(set_bits));
        }
        compare(now);
        /* Often exactly to the moment that the loop would sleep to, as it does. */
        int64_t next = timer_next(&wheel, now);
        now += next > 0 && any(2) ? (uint64_t)next : span(step_bits);
        advance(now);
    }
    for (size_t i = 0; i < N; i++)
        clear_one(&model[i]);
    for (unsigned level = 0; level < TIMER_LEVELS; level++)
        assert_int_equal(wheel.used[level], 0);
}

static void test_model(void **state)
{
    (void)state;
    const uint64_t window = UINT64_C(1) << 36; /* what the wheel reaches */
    static const struct {
        const char *label;
        unsigned set_bits, step_bits;
    } kinds[] = {
        {"close timers, small steps", 8, 4},    {"close timers, large steps", 8, 14},
        {"a minute, small steps", 16, 8},       {"days, large steps", 28, 24},
        {"years: the top level turns", 36, 34}, {"further than the wheel", 40, 38},
    };
    const uint64_t starts[] = {1, 63, 4095, 4096, 1234567890, window - 100, 3 * window - 5000000};
    size_t rows = 0;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
            seed = 88172645463325252u + rows++;
            seen.meddle = s % 2;
            seen.fired = 0;
            run_model(starts[s], kinds[k].set_bits, kinds[k].step_bits, 3000);
            if (seen.fired < 500)
                fail_msg("row \"%s\": only %zu fired", kinds[k].label, seen.fired);
        }
    }
    printf("rows: %zu\n", rows);
}

/* Every distance around the borders of the levels, from starts on both sides of such borders. */
static void test_borders(void **state)
{
    (void)state;
    seen.meddle = false;
    for (unsigned start_bits = 0; start_bits <= 37; start_bits++) {
        for (unsigned bits = 0; bits <= 37; bits++) {
            for (int d = 0; d < 9; d++) {
                uint64_t from = (UINT64_C(1) << start_bits) + (uint64_t)(d / 3);
                uint64_t due = from + (UINT64_C(1) << bits) + (uint64_t)(d % 3) - 1;
                start(from);
                if (due == from)
                    continue;
                set_one(&model[0], due);
                compare(from);
                advance(due - 1);
                assert_true(timer_is_set(&model[0].timer));
                advance(due);
                assert_false(timer_is_set(&model[0].timer));
            }
        }
    }
}

/* Sleeping as long as timer_next says finds a timer in few steps. */
static void test_few_wakeups(void **state)
{
    (void)state;
    seen.meddle = false;
    for (unsigned bits = 0; bits < 36; bits++) { /* what the wheel reaches */
        uint64_t now = 987654321, due = now + (UINT64_C(1) << bits);
        int steps = 0;
        start(now);
        set_one(&model[0], due);
        while (timer_is_set(&model[0].timer)) {
            now += (uint64_t)timer_next(&wheel, now);
            advance(now);
            steps++;
        }
        assert_int_equal(now, due);
        assert_true(steps <= TIMER_LEVELS);
    }
}

static void test_far(void **state)
{
    (void)state;
    seen.meddle = false;
    start(5);
    set_one(&model[0], UINT64_MAX);
    set_one(&model[1], UINT64_MAX - 1);
    advance(UINT64_C(1) << 40);
    assert_int_equal(wheel.count, 2);
    clear_one(&model[1]);
    assert_int_equal(wheel.count, 1);
    clear_one(&model[0]);
    assert_int_equal(timer_next(&wheel, UINT64_C(1) << 40), -1);
}

static int again_calls;

static void again_now(struct timer *t)
{
    again_calls++;
    timer_set(&wheel, t, 0);
}

/* A timer for "now" fires in the next run, even within the same millisecond; one that does so for
 * ever does not hold the run. */
static void test_now(void **state)
{
    (void)state;
    struct timer t;
    clock_update();
    timer_wheel_init(&wheel, clock_ms());
    timer_init(&t, again_now);
    again_calls = 0;
    timer_set(&wheel, &t, 0);
    assert_int_equal(timer_next(&wheel, clock_ms()), 0);
    timer_run(&wheel, clock_ms());
    assert_int_equal(again_calls, 1);
    timer_run(&wheel, clock_ms());
    assert_int_equal(again_calls, 1);
    timer_run(&wheel, clock_ms() + 1);
    assert_int_equal(again_calls, 2);
    timer_clear(&wheel, &t);
    timer_clear(&wheel, &t);
    assert_int_equal(wheel.count, 0);
}

static void set_counts(struct timer *t)
{
    (void)t;
    again_calls++;
}

static void test_relative(void **state)
{
    (void)state;
    struct timer t;
    clock_update();
    timer_wheel_init(&wheel, clock_ms());
    timer_init(&t, set_counts);
    again_calls = 0;
    timer_set(&wheel, &t, 50);
    assert_int_equal(t.due, clock_ms() + 50);
    timer_set(&wheel, &t, 80); /* later */
    timer_run(&wheel, clock_ms() + 79);
    assert_int_equal(again_calls, 0);
    timer_run(&wheel, clock_ms() + 80);
    assert_int_equal(again_calls, 1);
    timer_set(&wheel, &t, UINT64_MAX);
    assert_true(timer_is_set(&t));
    timer_set(&wheel, &t, 1000); /* earlier */
    timer_run(&wheel, clock_ms() + 1000);
    assert_int_equal(again_calls, 2);
    assert_false(timer_is_set(&t));
}

struct owner {
    struct timer mine;
    struct owner *other;
};

static void free_both(struct timer *t)
{
    struct owner *o = CONTAINER_OF(t, struct owner, mine);
    timer_clear(&wheel, &o->other->mine);
    free(o->other);
    free(o);
    again_calls++;
}

/* A callback frees its own object and another one that is due in the same slot. */
static void test_free_both(void **state)
{
    (void)state;
    again_calls = 0;
    timer_wheel_init(&wheel, 100);
    for (int i = 0; i < 10; i++) {
        struct owner *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
        a->other = b;
        b->other = a;
        timer_init(&a->mine, free_both);
        timer_init(&b->mine, free_both);
        timer_set_at(&wheel, &a->mine, 200);
        timer_set_at(&wheel, &b->mine, 200 + (uint64_t)i % 2);
    }
    timer_run(&wheel, 300);
    assert_int_equal(again_calls, 10);
    assert_int_equal(wheel.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),       cmocka_unit_test(test_borders),
        cmocka_unit_test(test_few_wakeups), cmocka_unit_test(test_far),
        cmocka_unit_test(test_now),         cmocka_unit_test(test_relative),
        cmocka_unit_test(test_free_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
