/* Keys and paths against the table, and against a plain search over the same keys. */
#include "serve/prefix.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const keys[] = {"/",   "/a", "/a/", "/a/b", "/a/b/c/", "/ab", "/long/er/still/",
                                   "/x/y"};

struct row {
    const char *path, *longest, *exact;
};

static const struct row rows[] = {
    {"/", "/", "/"},
    {"/a", "/a", "/a"},
    {"/a/", "/a/", "/a/"},
    {"/a/x", "/a/", NULL},
    {"/a/b", "/a/b", "/a/b"},
    {"/a/b/", "/a/b", NULL},
    {"/a/b/c", "/a/b", NULL},
    {"/a/b/c/", "/a/b/c/", "/a/b/c/"},
    {"/a/b/c/d/e", "/a/b/c/", NULL},
    {"/a/bc", "/a/", NULL},
    {"/ab", "/ab", "/ab"},
    {"/abc", "/", NULL},
    {"/ab/c", "/ab", NULL},
    {"/b", "/", NULL},
    {"/long/er/still", "/", NULL},
    {"/long/er/still/", "/long/er/still/", "/long/er/still/"},
    {"/long/er/still/x", "/long/er/still/", NULL},
    {"/x", "/", NULL},
    {"/x/y", "/x/y", "/x/y"},
    {"/x/yz", "/", NULL},
    {"/x/y/z", "/x/y", NULL},
};

static struct arena arena;

static void fill(struct prefix *p)
{
    arena_init(&arena, NULL);
    prefix_init(p, &arena, ARRAY_LEN(keys));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        prefix_add(p, str_of(keys[i]), keys[i]);
}

static const char *longest_of(const struct prefix *p, cs_str path)
{
    struct prefix_walk w;
    prefix_start(&w, p, path);
    return prefix_next(&w);
}

static const char *shown(const char *z)
{
    return z ? z : "(none)";
}

static void test_table(void **state)
{
    (void)state;
    struct prefix p;
    fill(&p);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *longest = longest_of(&p, str_of(rows[i].path));
        const char *exact = prefix_exact(&p, str_of(rows[i].path));
        if (strcmp(shown(longest), shown(rows[i].longest)) ||
            strcmp(shown(exact), shown(rows[i].exact)))
            fail_msg("%s: longest %s, exact %s", rows[i].path, shown(longest), shown(exact));
    }
    arena_drop(&arena);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* The rule in its plainest words: the longest key that is shorter than `below`. */
static const char *plain_search(cs_str path, size_t below)
{
    const char *best = NULL;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        cs_str k = str_of(keys[i]);
        bool border = k.p[k.n - 1] == '/' || path.n == k.n || (path.n > k.n && path.p[k.n] == '/');
        if (k.n < below && str_starts(path, k) && border && (!best || k.n > strlen(best)))
            best = keys[i];
    }
    return best;
}

static void test_random_paths(void **state)
{
    (void)state;
    struct prefix p;
    fill(&p);
    srand(7);
    for (int i = 0; i < 20000; i++) {
        char path[40];
        size_t n = 1 + (size_t)rand() % 20;
        path[0] = '/';
        for (size_t k = 1; k < n; k++)
            path[k] = "/abcxy"[rand() % 6];
        cs_str s = {path, n};
        struct prefix_walk w;
        const char *got, *want;
        size_t below = sizeof path;
        prefix_start(&w, &p, s);
        do {
            got = prefix_next(&w);
            want = plain_search(s, below);
            if (got != want)
                fail_msg("%.*s: %s instead of %s", CS_F(s), shown(got), shown(want));
            below = want ? strlen(want) : 0;
        } while (want);
    }
    arena_drop(&arena);
}

static void test_empty(void **state)
{
    (void)state;
    struct prefix p;
    arena_init(&arena, NULL);
    prefix_init(&p, &arena, 0);
    assert_null(longest_of(&p, CS_S("/a")));
    assert_null(prefix_exact(&p, CS_S("/a")));
    arena_drop(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),
                                       cmocka_unit_test(test_random_paths),
                                       cmocka_unit_test(test_empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
