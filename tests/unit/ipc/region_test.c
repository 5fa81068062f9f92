/* The shared memory: its parts lie apart and are empty, counters have names, children see the same.
 */
#include "ipc/region.h"

#include "os/fd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        unsigned max_workers, nslots;
    } rows[] = {
        {"one worker", 1, 7},
        {"sixteen workers", 16, 52},
        {"many workers", 200, 604},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct region r;
        assert_int_equal(region_new(&r, rows[i].max_workers), 0);
        if (r.nslots != rows[i].nslots || r.header->nslots != rows[i].nslots ||
            r.header->max_workers != rows[i].max_workers || r.header->size != r.size)
            fail_msg("%s: %u slots, expected %u", rows[i].label, r.nslots, rows[i].nslots);
        region_free(&r);
    }
    print_message("rows: %zu\n", sizeof(rows) / sizeof(rows[0]));
}

static void test_starts_empty(void **state)
{
    (void)state;
    struct region r;
    assert_int_equal(region_new(&r, 4), 0);
    assert_int_equal(r.header->magic, IPC_MAGIC);
    assert_int_equal(r.header->version, IPC_LAYOUT_VERSION);
    assert_true(atomic_load(&r.header->started_wall_us) > 0);
    assert_int_equal(atomic_load(&r.turn->owner), -1);
    assert_int_equal(lock_try(&r.turn->lock), LOCK_TAKEN);
    lock_give(&r.turn->lock);
    for (unsigned i = 0; i < r.nslots; i++) {
        const struct ipc_slot *s = region_slot(&r, (int)i);
        assert_int_equal(atomic_load(&s->state), IPC_FREE);
        assert_int_equal(atomic_load(&s->park), IPC_RUN);
        assert_int_equal(atomic_load(&s->counters[IPC_REQUESTS]), 0);
        assert_int_equal(atomic_load(&s->histograms[IPC_HOLD].count[0]), 0);
        assert_int_equal(atomic_load(&s->socket_owner), -1);
        assert_false(fd_event_drain(r.bells[i]));
    }
    assert_false(fd_event_drain(r.master_bell));
    region_free(&r);
}

/* Writing every byte of every part leaves the neighbours as they were. */
static void test_parts_lie_apart(void **state)
{
    (void)state;
    struct region r;
    assert_int_equal(region_new(&r, 3), 0);
    const char *end = (const char *)r.header + r.size;
    assert_true((const char *)(r.header + 1) <= (const char *)r.turn);
    assert_true((const char *)(r.turn + 1) <= (const char *)r.names);
    assert_true((const char *)(r.names + IPC_MODULE_COUNTERS) <= (const char *)r.modules);
    assert_true((const char *)(r.modules + IPC_MODULES) <= (const char *)r.slots);
    assert_true((const char *)(r.slots + r.nslots) <= end);
    assert_int_equal((uintptr_t)r.turn % IPC_CACHE_LINE, 0);
    assert_int_equal((uintptr_t)r.slots % IPC_CACHE_LINE, 0);
    memset(r.slots, 0xff, r.nslots * sizeof(*r.slots));
    memset(r.names, 0xff, IPC_MODULE_COUNTERS * sizeof(*r.names));
    memset(r.modules, 0xff, IPC_MODULES * sizeof(*r.modules));
    assert_int_equal(r.header->magic, IPC_MAGIC);
    assert_int_equal(lock_try(&r.turn->lock), LOCK_TAKEN);
    lock_give(&r.turn->lock);
    region_free(&r);
}

static void test_free_twice(void **state)
{
    (void)state;
    struct region r;
    assert_int_equal(region_new(&r, 1), 0);
    region_free(&r);
    assert_null(r.header);
    assert_null(r.bells);
    region_free(&r);
}

static void test_shared_with_children(void **state)
{
    (void)state;
    struct region r;
    assert_int_equal(region_new(&r, 1), 0);
    pid_t pid = fork();
    if (pid == 0) {
        region_add(region_slot(&r, 4), IPC_REQUESTS, 7);
        fd_event_ring(r.master_bell);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(atomic_load(&region_slot(&r, 4)->counters[IPC_REQUESTS]), 7);
    assert_true(fd_event_drain(r.master_bell));
    region_free(&r);
}

/* Bucket i holds what is longer than 2^(i-1) and at most 2^i microseconds. */
static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        uint64_t us;
        int bucket;
    } rows[] = {
        {"nothing", 0, 0},
        {"the first bound", 1, 0},
        {"the second bound", 2, 1},
        {"between bounds", 3, 2},
        {"the third bound", 4, 2},
        {"one above a bound", 5, 3},
        {"the last bound", 1u << (IPC_BUCKETS - 2), IPC_BUCKETS - 2},
        {"above all bounds", (1u << (IPC_BUCKETS - 2)) + 1, IPC_BUCKETS - 1},
        {"a day", 86400000000, IPC_BUCKETS - 1},
        {"for ever", UINT64_MAX, IPC_BUCKETS - 1},
    };
    struct region r;
    assert_int_equal(region_new(&r, 1), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ipc_slot *s = region_slot(&r, IPC_SLOT_WORKERS);
        struct ipc_buckets *b = &s->histograms[IPC_GIVE_TO_TAKE];
        memset(s->histograms, 0, sizeof(s->histograms));
        region_time(s, IPC_GIVE_TO_TAKE, rows[i].us);
        for (int k = 0; k < IPC_BUCKETS; k++)
            if (atomic_load(&b->count[k]) != (k == rows[i].bucket))
                fail_msg("%s: bucket %d holds %llu", rows[i].label, k,
                         (unsigned long long)atomic_load(&b->count[k]));
        assert_true(atomic_load(&b->sum_us) == rows[i].us);
        assert_int_equal(atomic_load(&s->histograms[IPC_HOLD].sum_us), 0);
    }
    region_free(&r);
    print_message("rows: %zu\n", sizeof(rows) / sizeof(rows[0]));
}

static void test_counter_names(void **state)
{
    (void)state;
    static char long_name[IPC_COUNTER_NAME + 1], fits[IPC_COUNTER_NAME];
    memset(long_name, 'x', IPC_COUNTER_NAME);
    memset(fits, 'y', IPC_COUNTER_NAME - 1);
    static const struct {
        const char *label, *name;
        int expect;
    } rows[] = {
        {"first", "a.one_total", 0},
        {"second", "a.two_total", 1},
        {"known name", "a.one_total", 0},
        {"prefix of a known one", "a.one", 2},
        {"other module", "b.one_total", 3},
        {"longest name", fits, 4},
        {"one byte too long", long_name, -ENAMETOOLONG},
        {"after a refusal", "b.two_total", 5},
    };
    struct region r;
    assert_int_equal(region_new(&r, 1), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int got = region_counter(&r, rows[i].name, "help");
        if (got != rows[i].expect)
            fail_msg("%s: got %d, expected %d", rows[i].label, got, rows[i].expect);
    }
    assert_string_equal(r.names[3].name, "b.one_total");
    assert_string_equal(r.names[3].help, "help");
    region_free(&r);
    print_message("rows: %zu\n", sizeof(rows) / sizeof(rows[0]));
}

static void test_counter_help(void **state)
{
    (void)state;
    char help[400];
    memset(help, 'h', sizeof(help) - 1);
    help[sizeof(help) - 1] = '\0';
    struct region r;
    assert_int_equal(region_new(&r, 1), 0);
    assert_int_equal(region_counter(&r, "a.none", NULL), 0);
    assert_int_equal(region_counter(&r, "a.long", help), 1);
    assert_string_equal(r.names[0].help, "");
    assert_int_equal(strlen(r.names[1].help), sizeof(r.names[1].help) - 1);
    region_free(&r);
}

static void test_counter_names_run_out(void **state)
{
    (void)state;
    char name[32];
    struct region r;
    assert_int_equal(region_new(&r, 1), 0);
    for (int i = 0; i < IPC_MODULE_COUNTERS; i++) {
        snprintf(name, sizeof(name), "m.c%d", i);
        assert_int_equal(region_counter(&r, name, ""), i);
    }
    assert_int_equal(region_counter(&r, "m.more", ""), -ENOSPC);
    assert_int_equal(region_counter(&r, "m.c200", ""), 200);
    region_free(&r);
}

static void test_module_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *label, *name, *version;
        unsigned expect;
    } rows[] = {
        {"first", "hello", "1.0", 1},
        {"second", "sse", "1.0", 2},
        {"known name, another version", "hello", "2.0", 1},
        {"prefix of a known one", "hell", "1.0", 3},
        {"no version", "bare", NULL, 4},
        {"longest name", "a2345678901234567890123456789_1", "1.0", 5},
        {"one byte too long", "a2345678901234567890123456789_12", "1.0", 0},
        {"no name", "", "1.0", 0},
        {"after refusals", "next", "1.0", 6},
    };
    struct region r;
    assert_int_equal(region_new(&r, 1), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned got = region_module(&r, rows[i].name, rows[i].version);
        if (got != rows[i].expect)
            fail_msg("%s: got %u, expected %u", rows[i].label, got, rows[i].expect);
    }
    assert_string_equal(r.modules[1].name, "hello");
    assert_string_equal(r.modules[1].version, "2.0");
    assert_string_equal(r.modules[4].version, "");
    assert_int_equal(atomic_load(&r.modules[1].quarantined), 0);
    region_free(&r);
    print_message("rows: %zu\n", sizeof(rows) / sizeof(rows[0]));
}

static void test_module_numbers_run_out(void **state)
{
    (void)state;
    char name[32];
    struct region r;
    assert_int_equal(region_new(&r, 1), 0);
    for (unsigned i = 1; i < IPC_MODULES; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        assert_int_equal(region_module(&r, name, "1.0"), i);
    }
    assert_int_equal(region_module(&r, "more", "1.0"), 0);
    assert_int_equal(region_module(&r, "m100", "1.0"), 100);
    region_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_starts_empty),
        cmocka_unit_test(test_parts_lie_apart),
        cmocka_unit_test(test_free_twice),
        cmocka_unit_test(test_shared_with_children),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_counter_names),
        cmocka_unit_test(test_counter_help),
        cmocka_unit_test(test_counter_names_run_out),
        cmocka_unit_test(test_module_numbers),
        cmocka_unit_test(test_module_numbers_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
