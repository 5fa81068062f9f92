#include "proc/stopping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

struct row {
    const char *label, *status, *says; /* "": it does not stop */
};

#define WORKER(pid, left) "{\"pid\":" #pid ",\"drains\":{\"why\":\"stop\",\"left_ms\":" #left "}}"

static const struct row rows[] = {
    {"runs", "{\"state\":\"running\",\"connections\":3}", ""},
    {"no answer", "{\"ok\":false}", ""},
    {"kinds",
     "{\"state\":\"stopping\",\"workers\":[" WORKER(7, 20001) "," WORKER(
         8, 300) "],\"connections\":6,\"streams\":1,\"idle\":2}",
     "waiting for 6 connections (3 in a request, 1 stream, 2 idle), at most 21 s"},
    {"one kind",
     "{\"state\":\"stopping\",\"workers\":[" WORKER(7, 25000) "],\"connections\":1,\"streams\":0,"
                                                              "\"idle\":0}",
     "waiting for 1 connection (1 in a request), at most 25 s"},
    {"no limit",
     "{\"state\":\"stopping\",\"workers\":[" WORKER(7, 25000) "," WORKER(
         8, null) "],\"connections\":2,\"streams\":2,\"idle\":0}",
     "waiting for 2 connections (2 streams), without a time limit"},
    {"workers only",
     "{\"state\":\"stopping\",\"workers\":[" WORKER(7, 0) "," WORKER(0,
                                                                     9000) "],\"connections\":0}",
     "waiting for 1 worker to end, at most 0 s"},
    {"primary",
     "{\"state\":\"stopping\",\"workers\":[],\"primary\":{\"pid\":12},\"connections\":0}",
     "waiting for the primary (pid 12) to end"},
    {"the server before",
     "{\"state\":\"stopping\",\"workers\":[],\"primary\":null,\"connections\":0,\"old_pid\":4}",
     "waiting for the server before (pid 4), which drains"},
    {"nothing", "{\"state\":\"stopping\",\"workers\":[],\"primary\":null,\"connections\":0}",
     "about to end"},
};

static void test_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = {0};
        bool stops = stopping_say(str_of(rows[i].status), &out);

        if (stops != !!rows[i].says[0] || !str_is(buf_str(&out), rows[i].says))
            print_error("%s: %.*s\n", rows[i].label, (int)out.n, out.n ? out.p : "");
        assert_int_equal(stops, !!rows[i].says[0]);
        assert_true(str_is(buf_str(&out), rows[i].says));
        buf_free(&out);
    }
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_says)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
