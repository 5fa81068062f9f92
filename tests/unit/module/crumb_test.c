/* Crumbs: where a process is, kept over nested calls; who is in quarantine; long stays are told. */
#include "module/crumb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct region region;

static int begin(void **state)
{
    (void)state;
    int rc = region_new(&region, 1);
    crumb_join(&region, IPC_SLOT_WORKERS, 2);
    return rc;
}

static int end(void **state)
{
    (void)state;
    crumb_use(NULL);
    region_free(&region);
    return 0;
}

static struct ipc_crumb *crumb(void)
{
    return &region_slot(&region, IPC_SLOT_WORKERS)->crumb;
}

static void test_nested(void **state)
{
    (void)state;
    assert_int_equal(crumb_module(), 0);
    uint32_t outer = crumb_enter(3, CRUMB_HANDLER);
    uint64_t since = atomic_load(&crumb()->since_ms);
    assert_true(since > 0);
    assert_int_equal(atomic_load(&crumb()->where), 3 << 8 | CRUMB_HANDLER);
    uint32_t inner = crumb_enter(5, CRUMB_BODY_FILTER);
    assert_int_equal(crumb_module(), 5);
    assert_true(atomic_load(&crumb()->since_ms) == since);
    crumb_leave(inner);
    assert_int_equal(crumb_module(), 3);
    crumb_leave(outer);
    assert_int_equal(atomic_load(&crumb()->where), 0);
}

/* A module with no number is in its code all the same. */
static void test_without_number(void **state)
{
    (void)state;
    uint32_t was = crumb_enter(0, CRUMB_TIMER);
    assert_int_equal(atomic_load(&crumb()->where), CRUMB_TIMER);
    crumb_leave(was);
}

static void test_quarantine(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        unsigned up_to;
        bool expect;
    } rows[] = {
        {"never", 0, false},
        {"earlier settings", 1, false},
        {"these settings", 2, true},
        {"later settings", 3, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        atomic_store(&region.modules[7].quarantined, rows[i].up_to);
        if (crumb_is_quarantined(7) != rows[i].expect)
            fail_msg("%s", rows[i].label);
        assert_false(crumb_is_quarantined(0));
        assert_false(crumb_is_quarantined(8));
    }
    print_message("rows: %zu\n", sizeof(rows) / sizeof(rows[0]));
}

static uint64_t stayed, waited;
static uint32_t stayed_in;

static void on_long(uint64_t ms)
{
    stayed = ms;
    stayed_in = atomic_load(&crumb()->where);
    waited = crumb_waited_ms();
}

/* Many short ones in one turn of the loop are no long one. */
static void test_long_stays(void **state)
{
    (void)state;
    clock_freeze();
    crumb_limit(250, on_long);
    for (int i = 0; i < 10; i++) {
        uint32_t was = crumb_enter(1, CRUMB_HANDLER);
        clock_advance(100);
        crumb_leave(was);
    }
    assert_int_equal(stayed, 0);

    uint32_t outer = crumb_enter(3, CRUMB_HANDLER), inner = crumb_enter(5, CRUMB_BODY_FILTER);
    clock_advance(250);
    crumb_leave(inner);
    assert_int_equal(stayed, 0);
    crumb_leave(outer);
    assert_int_equal(stayed, 250);
    assert_int_equal(stayed_in, 3 << 8 | CRUMB_HANDLER);
    assert_int_equal(waited, 0);

    outer = crumb_enter(3, CRUMB_HANDLER);
    for (int i = 0; i < 2; i++) {
        crumb_wait(i ? 4711 : 0);
        assert_int_equal(atomic_load(&crumb()->waits_for), i ? 4711 : -1);
        clock_advance(200);
        crumb_waited();
        assert_int_equal(atomic_load(&crumb()->waits_for), 0);
    }
    clock_advance(30);
    crumb_leave(outer);
    assert_int_equal(stayed, 430);
    assert_int_equal(waited, 400);

    crumb_limit(UINT64_MAX, NULL);
    outer = crumb_enter(3, CRUMB_HANDLER);
    clock_advance(100000);
    assert_int_equal(crumb_waited_ms(), 0);
    crumb_leave(outer);
    assert_int_equal(stayed, 430);
    clock_thaw();
}

static void test_hooks_have_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CRUMB_HOOKS; i++)
        if (!crumb_hook_name((enum crumb_hook)i) || !*crumb_hook_name((enum crumb_hook)i))
            fail_msg("hook %u has no name", i);
    assert_string_equal(crumb_hook_name(CRUMB_ON_MESSAGE), "on_message");
    assert_string_equal(crumb_hook_name(CRUMB_HOOKS), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested),           cmocka_unit_test(test_without_number),
        cmocka_unit_test(test_quarantine),       cmocka_unit_test(test_long_stays),
        cmocka_unit_test(test_hooks_have_names),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
