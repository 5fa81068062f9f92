/* The board: every counter has a name, told apart by a label where several share one, and a help text; sums are
 * sums, the dead leave no gauges. */
#include "ipc/board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct region region;

static int set_up(void **state)
{
    (void)state;
    return region_new(&region, 4);
}

static int tear_down(void **state)
{
    (void)state;
    region_free(&region);
    return 0;
}

static bool is_metric_name(const char *name)
{
    size_t n = strlen(name);
    return strncmp(name, "cserver_", 8) == 0 && n > 14 && strcmp(name + n - 6, "_total") == 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_name(const char *name, const char *help)
{
    if (strlen(help) < 10 || help[strlen(help) - 1] != '.')
        fail_msg("%s: the help is not a sentence: %s", name, help);
}

/* Counters of one name are one family: same help, same label, other values of it, nothing between them. */
static void check_siblings(int c, int d)
{
    const struct board_counter *b = board_counter((enum ipc_counter)c);
    const struct board_counter *other = board_counter((enum ipc_counter)d);
    if (!same(b->name, other->name))
        return;
    if (!b->label || !same(b->label, other->label) || !same(b->help, other->help))
        fail_msg("%s: two counters of that name, and they are no family", b->name);
    if (same(b->label_value, other->label_value))
        fail_msg("%s{%s=\"%s\"}: named twice", b->name, b->label, b->label_value);
    if (!same(b->name, board_counter((enum ipc_counter)(c - 1))->name))
        fail_msg("%s: its counters do not follow each other", b->name);
}

static void test_names(void **state)
{
    (void)state;
    for (int c = 0; c < IPC_COUNTERS; c++) {
        const struct board_counter *b = board_counter((enum ipc_counter)c);
        if (!b->name || !b->help)
            fail_msg("counter %d has no name or no help", c);
        if (!is_metric_name(b->name))
            fail_msg("%s: not a metric name", b->name);
        if (!b->label != !b->label_value)
            fail_msg("%s: half a label", b->name);
        check_name(b->name, b->help);
        for (int d = 0; d < c; d++)
            check_siblings(c, d);
    }
    assert_string_equal(board_counter(IPC_ACCEPTS)->name, "cserver_accepts_total");
    assert_string_equal(board_counter(IPC_WAKEUPS_BELL)->label_value, "bell");
    print_message("rows: %d\n", IPC_COUNTERS);
}

static void test_histogram_names(void **state)
{
    (void)state;
    for (int h = 0; h < IPC_HISTOGRAMS; h++) {
        const struct board_histogram *b = board_histogram((enum ipc_histogram)h);
        size_t n = strlen(b->name);
        if (strncmp(b->name, "cserver_", 8) != 0 || strcmp(b->name + n - 8, "_seconds") != 0)
            fail_msg("%s: not the name of a histogram of durations", b->name);
        check_name(b->name, b->help);
        for (int other = 0; other < h; other++)
            assert_string_not_equal(b->name, board_histogram((enum ipc_histogram)other)->name);
    }
    print_message("rows: %d\n", IPC_HISTOGRAMS);
}

static void test_sums(void **state)
{
    (void)state;
    region_add(region_slot(&region, 4), IPC_REQUESTS, 5);
    region_add(region_slot(&region, 5), IPC_REQUESTS, 6);
    region_add(region_slot(&region, 5), IPC_REQUESTS, 1);
    region_add(region_slot(&region, (int)region.nslots - 1), IPC_REQUESTS, 100);
    assert_int_equal(board_get(&region, 5, IPC_REQUESTS), 7);
    assert_int_equal(board_sum(&region, IPC_REQUESTS), 112);
    assert_int_equal(board_sum(&region, IPC_ACCEPTS), 0);
    atomic_store(&region_slot(&region, 4)->module_counters[9], 3);
    atomic_store(&region_slot(&region, 6)->module_counters[9], 4);
    assert_int_equal(board_module_sum(&region, 9), 7);
    assert_int_equal(board_module_sum(&region, 8), 0);
}

static void test_active(void **state)
{
    (void)state;
    atomic_store(&region_slot(&region, 4)->active, 3);
    atomic_store(&region_slot(&region, 7)->active, 4);
    assert_int_equal(board_active(&region), 7);
}

static void test_states(void **state)
{
    (void)state;
    static const struct {
        enum ipc_state state;
        const char *name;
    } rows[] = {
        {IPC_FREE, "free"},         {IPC_STARTING, "starting"}, {IPC_READY, "ready"},
        {IPC_DRAINING, "draining"}, {IPC_STATES, "unknown"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(board_state_name(rows[i].state), rows[i].name);
    print_message("rows: %zu\n", sizeof(rows) / sizeof(rows[0]));
}

static void test_bury(void **state)
{
    (void)state;
    struct ipc_slot *s = region_slot(&region, 5);
    atomic_store(&s->park, IPC_PARK);
    atomic_store(&s->kick, 1);
    atomic_store(&s->fit, 1);
    atomic_store(&s->active, 12);
    atomic_store(&s->max, 100);
    atomic_store(&s->lost, 1);
    atomic_store(&s->recycle, 1);
    atomic_store(&s->pid, 4711);
    atomic_store(&s->state, IPC_READY);
    atomic_store(&s->incarnation, 3);
    region_add(s, IPC_REQUESTS, 9);
    region_time(s, IPC_HOLD, 3);
    board_bury(&region, 5);
    assert_int_equal(atomic_load(&s->park), IPC_RUN);
    assert_int_equal(atomic_load(&s->kick), 0);
    assert_int_equal(atomic_load(&s->fit), 0);
    assert_int_equal(atomic_load(&s->pid), 0);
    assert_int_equal(atomic_load(&s->state), IPC_FREE);
    assert_int_equal(atomic_load(&s->max), 0);
    assert_int_equal(atomic_load(&s->lost), 0);
    assert_int_equal(atomic_load(&s->recycle), 0);
    assert_int_equal(board_active(&region), 0);
    /* What it has counted stays. */
    assert_int_equal(board_sum(&region, IPC_REQUESTS), 9);
    assert_int_equal(atomic_load(&s->histograms[IPC_HOLD].count[2]), 1);
    assert_int_equal(atomic_load(&s->histograms[IPC_HOLD].sum_us), 3);
    assert_int_equal(atomic_load(&s->incarnation), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_histogram_names),
        cmocka_unit_test_setup_teardown(test_sums, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_active, set_up, tear_down),
        cmocka_unit_test(test_states),
        cmocka_unit_test_setup_teardown(test_bury, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
