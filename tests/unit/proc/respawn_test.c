/* Which deaths make the server wait before it forks again, and for how long. */
#include "proc/respawn.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
    const char *label;
    struct respawn_death death;
    unsigned in_row; /* deaths before READY that came before */
    bool at_once;
};

static const struct row rows[] = {
    {"killed while ready", {.ready = true, .signal = SIGKILL, .ready_ms = 5}, 0, true},
    {"terminated while ready", {.ready = true, .signal = SIGTERM, .ready_ms = 5}, 0, true},
    {"killed, long ready", {.ready = true, .signal = SIGKILL, .ready_ms = 99999}, 3, true},
    {"drained by an operator", {.ready = true, .draining = true, .ready_ms = 5}, 0, true},
    {"crash soon after ready", {.ready = true, .signal = SIGSEGV, .ready_ms = 5}, 0, false},
    {"abort soon after ready", {.ready = true, .signal = SIGABRT, .ready_ms = 9999}, 0, false},
    {"bus error soon after ready", {.ready = true, .signal = SIGBUS, .ready_ms = 1}, 0, false},
    {"crash long after ready", {.ready = true, .signal = SIGSEGV, .ready_ms = 10000}, 0, true},
    {"exit soon after ready", {.ready = true, .ready_ms = 5}, 0, false},
    {"exit long after ready", {.ready = true, .ready_ms = 20000}, 0, true},
    {"exit before ready", {.ready = false}, 0, false},
    {"crash before ready", {.signal = SIGSEGV}, 0, false},
    {"killed before ready, once", {.signal = SIGKILL}, 0, true},
    {"killed before ready, again and again", {.signal = SIGKILL}, 1, false},
};

static void test_which_deaths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct respawn r = {.in_row = rows[i].in_row};

        if (respawn_died(&r, &rows[i].death) != rows[i].at_once)
            fail_msg("%s: should %sbe started at once", rows[i].label,
                     rows[i].at_once ? "" : "not ");
        if ((r.delay_ms == 0) != rows[i].at_once)
            fail_msg("%s: the delay is %u ms", rows[i].label, r.delay_ms);
    }
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

static void test_delay_doubles(void **state)
{
    static const unsigned delays[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    struct respawn_death d = {.signal = SIGSEGV};
    struct respawn r = {0};

    (void)state;
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        assert_false(respawn_died(&r, &d));
        assert_int_equal(r.delay_ms, delays[i]);
        respawn_spawned(&r);
    }
    respawn_calm(&r);
    assert_int_equal(r.delay_ms, 0);
    assert_false(respawn_degraded(&r));
}

/* Whoever kills newborns all the time does not keep the server down for long. */
static void test_killed_newborns(void **state)
{
    struct respawn_death d = {.signal = SIGKILL};
    struct respawn r = {0};

    (void)state;
    for (int i = 0; i < 20; i++) {
        respawn_died(&r, &d);
        respawn_spawned(&r);
    }
    assert_int_equal(r.delay_ms, RESPAWN_KILLED_MS);
    d.signal = SIGSEGV;
    for (int i = 0; i < 20; i++) {
        respawn_died(&r, &d);
        respawn_spawned(&r);
    }
    assert_int_equal(r.delay_ms, RESPAWN_MOST_MS);
    d.signal = SIGKILL;
    respawn_died(&r, &d);
    assert_int_equal(r.delay_ms, RESPAWN_MOST_MS);
}

/* Sixteen workers that all die at their start are one failure. */
static void test_dying_together(void **state)
{
    struct respawn_death d = {.signal = SIGSEGV};
    struct respawn r = {0};

    (void)state;
    for (int i = 0; i < 16; i++)
        assert_false(respawn_died(&r, &d));
    assert_int_equal(r.delay_ms, RESPAWN_FIRST_MS);
    assert_true(respawn_degraded(&r));
}

/* P27: all crash at their start, each as soon as it is forked. */
static void test_a_minute_of_crashes(void **state)
{
    struct respawn_death d = {.signal = SIGSEGV};
    unsigned workers[] = {1, 2, 4, 8, 16};

    (void)state;
    for (size_t w = 0; w < sizeof workers / sizeof *workers; w++) {
        struct respawn r = {0};
        unsigned spawns = workers[w], ms = 0;

        for (unsigned i = 0; i < workers[w]; i++)
            respawn_died(&r, &d);
        for (ms = r.delay_ms; ms < 60000; ms += r.delay_ms) {
            spawns++;
            respawn_spawned(&r);
            respawn_died(&r, &d);
        }
        if (spawns - workers[w] >= 22)
            fail_msg("%u workers: %u spawns in a minute", workers[w], spawns);
    }
}

static void test_degraded(void **state)
{
    struct respawn_death d = {.signal = SIGSEGV};
    struct respawn r = {0};

    (void)state;
    for (int i = 1; i < RESPAWN_DEGRADED_AT; i++) {
        respawn_died(&r, &d);
        assert_false(respawn_degraded(&r));
    }
    respawn_died(&r, &d);
    assert_true(respawn_degraded(&r));
    respawn_ready(&r);
    assert_true(respawn_degraded(&r));
    assert_int_equal(r.in_row, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_deaths),        cmocka_unit_test(test_delay_doubles),
        cmocka_unit_test(test_dying_together),      cmocka_unit_test(test_killed_newborns),
        cmocka_unit_test(test_a_minute_of_crashes), cmocka_unit_test(test_degraded)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
