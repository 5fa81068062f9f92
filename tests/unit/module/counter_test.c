/* Counters of modules: one number per name, one shard per slot. */
#include "module/counter.h"

#include "base/check.h"
#include "ipc/board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct region region;
static cs_counter *hits, *misses;
static const cs_counter_def cache_counters[] = {
    {&hits, "hits_total", "Found."}, {&misses, "misses_total", NULL}, {0}};
static const cs_module cache = {.name = "cache", .counters = cache_counters};

static int set_up(void **state)
{
    (void)state;
    hits = misses = NULL;
    return region_new(&region, 2);
}

static int tear_down(void **state)
{
    (void)state;
    region_free(&region);
    return 0;
}

static void test_declare(void **state)
{
    (void)state;
    struct buf error = {0};
    assert_int_equal(counter_declare(&cache, &region, &error), 0);
    assert_non_null(hits);
    assert_non_null(misses);
    assert_ptr_not_equal(hits, misses);
    assert_string_equal(region.names[0].name, "cache.hits_total");
    assert_string_equal(region.names[0].help, "Found.");
    assert_string_equal(region.names[1].name, "cache.misses_total");
    assert_string_equal(region.names[1].help, "");
    assert_int_equal(error.n, 0);
}

static void test_no_counters(void **state)
{
    (void)state;
    struct buf error = {0};
    assert_int_equal(counter_declare(&(cs_module){.name = "none"}, &region, &error), 0);
    assert_int_equal(atomic_load(&region.names[0].used), 0);
}

static void test_counts(void **state)
{
    (void)state;
    struct buf error = {0};
    assert_int_equal(counter_declare(&cache, &region, &error), 0);
    counter_set_slot(&region, 4);
    counter_add(hits, 3);
    counter_add(misses, 10);
    counter_set_slot(&region, 5);
    counter_add(hits, 4);
    counter_add(hits, -1);
    counter_add(misses, INT64_MAX);
    assert_int_equal(counter_sum(hits), 6);
    assert_true(counter_sum(misses) == (uint64_t)INT64_MAX + 10);
    assert_int_equal(board_module_sum(&region, 0), 6);
    assert_int_equal(atomic_load(&region_slot(&region, 4)->module_counters[0]), 3);
}

/* The next generation loads the module again: other pointers, the same numbers. */
static void test_reload_keeps_values(void **state)
{
    (void)state;
    struct buf error = {0};
    cs_counter *more, *new_hits;
    const cs_counter_def counters[] = {
        {&more, "more_total", ""}, {&new_hits, "hits_total", ""}, {0}};
    assert_int_equal(counter_declare(&cache, &region, &error), 0);
    counter_set_slot(&region, 4);
    counter_add(hits, 7);
    assert_int_equal(
        counter_declare(&(cs_module){.name = "cache", .counters = counters}, &region, &error), 0);
    assert_int_equal(counter_sum(new_hits), 7);
    assert_int_equal(counter_sum(more), 0);
    counter_add(new_hits, 1);
    assert_int_equal(counter_sum(hits), 8);
}

/* Another module's counter of the same name is another counter. */
static void test_modules_apart(void **state)
{
    (void)state;
    struct buf error = {0};
    cs_counter *other;
    const cs_counter_def counters[] = {{&other, "hits_total", ""}, {0}};
    assert_int_equal(counter_declare(&cache, &region, &error), 0);
    assert_int_equal(
        counter_declare(&(cs_module){.name = "proxy", .counters = counters}, &region, &error), 0);
    counter_set_slot(&region, 4);
    counter_add(other, 1);
    assert_int_equal(counter_sum(hits), 0);
    assert_int_equal(counter_sum(other), 1);
}

static void test_survives_death(void **state)
{
    (void)state;
    struct buf error = {0};
    assert_int_equal(counter_declare(&cache, &region, &error), 0);
    for (int i = 1; i <= 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            counter_set_slot(&region, 4);
            counter_add(hits, 5);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        board_bury(&region, 4);
        assert_int_equal(counter_sum(hits), 5 * i);
    }
}

static void test_no_room(void **state)
{
    (void)state;
    struct buf error = {0};
    char name[32];
    for (int i = 0; i < IPC_MODULE_COUNTERS - 1; i++) {
        snprintf(name, sizeof(name), "old.c%d", i);
        assert_int_equal(region_counter(&region, name, ""), i);
    }
    assert_int_equal(counter_declare(&cache, &region, &error), -1);
    assert_non_null(strstr(error.p, "module \"cache\": no room for its counter \"misses_total\""));
    buf_free(&error);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_declare),       TEST(test_no_counters),
        TEST(test_counts),        TEST(test_reload_keeps_values),
        TEST(test_modules_apart), TEST(test_survives_death),
        TEST(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
