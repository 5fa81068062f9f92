/* Beginnings and paths: what comes out of the tree is what a plain search over all of them finds, in order. */
#include "serve/shortlist.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void walk(const struct shortlist *l, cs_str path, char *out, size_t room)
{
    struct shortlist_walk w;
    size_t n = 0;
    long i;
    out[0] = '\0';
    shortlist_start(&w, l, path);
    while ((i = shortlist_next(&w)) >= 0)
        n += (size_t)snprintf(out + n, room - n, "%s%ld", n ? " " : "", i);
}

static void plain(const cs_str *beginnings, size_t n, cs_str path, char *out, size_t room)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        if (str_starts(path, beginnings[i]))
            at += (size_t)snprintf(out + at, room - at, "%s%zu", at ? " " : "", i);
}

static const struct row {
    const char *label;
    const char *beginnings[6];
    const char *path, *found;
} rows[] = {
    {"none at all", {NULL}, "/a", ""},
    {"it", {"/a"}, "/a", "0"},
    {"longer path", {"/a"}, "/ab", "0"},
    {"shorter path", {"/ab"}, "/a", ""},
    {"always", {""}, "/a", "0"},
    {"always, empty path", {"", "/"}, "", "0"},
    {"order of numbers, not of lengths", {"/ab", "/a", "/abc"}, "/abcd", "0 1 2"},
    {"always in between", {"/a", "", "/a", ""}, "/a", "0 1 2 3"},
    {"another branch", {"/a/x", "/a/y", "/b"}, "/a/y", "1"},
    {"ends inside of a label", {"/abcdef"}, "/abcx", ""},
    {"split inside of a label", {"/abcdef", "/abcxyz", "/abc"}, "/abcxyz", "1 2"},
    {"same ones", {"/a", "/a", "/a"}, "/a", "0 1 2"},
    {"bytes above 127", {"/\xc3\xa4", "/\xc3\xb6", "/\xff"}, "/\xc3\xb6x", "1"},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        struct shortlist l;
        cs_str all[6];
        char out[100];
        size_t n = 0;
        arena_init(&a, NULL);
        for (; n < 6 && rows[i].beginnings[n]; n++)
            all[n] = str_of(rows[i].beginnings[n]);
        shortlist_init(&l, &a, all, n);
        walk(&l, str_of(rows[i].path), out, sizeof out);
        if (strcmp(out, rows[i].found) != 0)
            fail_msg("%s: \"%s\"", rows[i].label, out);
        arena_drop(&a);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static cs_str some(struct arena *a, size_t most)
{
    size_t n = (size_t)rand() % most;
    char *p = arena_alloc(a, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = "/ab\xc3\xff"[rand() % 5];
    return (cs_str){p, n};
}

static void test_random(void **state)
{
    (void)state;
    srand(11);
    for (int round = 0; round < 200; round++) {
        struct arena a;
        struct shortlist l;
        cs_str all[60];
        size_t n = (size_t)rand() % 60;
        arena_init(&a, NULL);
        for (size_t i = 0; i < n; i++)
            all[i] = some(&a, 7);
        shortlist_init(&l, &a, all, n);
        for (int k = 0; k < 50; k++) {
            char got[400], want[400];
            cs_str path = some(&a, 10);
            walk(&l, path, got, sizeof got);
            plain(all, n, path, want, sizeof want);
            if (strcmp(got, want) != 0)
                fail_msg("round %d: \"%s\" instead of \"%s\"", round, got, want);
        }
        arena_drop(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
