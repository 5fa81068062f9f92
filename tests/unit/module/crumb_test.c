/* Crumbs: where a process is, kept over nested calls; who is in quarantine; the watch is woken once. */
#include "module/crumb.h"

#include "os/fd.h"

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

static void test_watch_is_woken_once(void **state)
{
    (void)state;
    crumb_leave(crumb_enter(1, CRUMB_HANDLER));
    assert_false(fd_event_drain(region.master_bell));
    atomic_store(&region.header->watch_sleeps, 1);
    uint32_t was = crumb_enter(1, CRUMB_HANDLER);
    assert_true(fd_event_drain(region.master_bell));
    assert_int_equal(atomic_load(&region.header->watch_sleeps), 0);
    crumb_leave(crumb_enter(2, CRUMB_HANDLER));
    crumb_leave(was);
    crumb_leave(crumb_enter(1, CRUMB_HANDLER));
    assert_false(fd_event_drain(region.master_bell));
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
        cmocka_unit_test(test_quarantine),       cmocka_unit_test(test_watch_is_woken_once),
        cmocka_unit_test(test_hooks_have_names),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
