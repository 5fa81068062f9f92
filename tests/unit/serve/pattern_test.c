/* Regexes: what matches, what the groups catch, and what is given up. */
#include "serve/pattern.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct row {
    const char *label, *pattern, *subject;
    int result;
    const char *groups; /* "-": took no part */
} rows[] = {
    {"no match", "^/a$", "/b", PATTERN_DIFFERS, ""},
    {"match", "^/a$", "/a", PATTERN_MATCHES, "/a"},
    {"not anchored", "b", "/abc", PATTERN_MATCHES, "b"},
    {"groups", "^/(\\d+)/(\\w+)$", "/12/xy", PATTERN_MATCHES, "/12/xy|12|xy"},
    {"a group that took no part", "^/(a)?(b)$", "/b", PATTERN_MATCHES, "/b|-|b"},
    {"the last group took no part", "^/(b)(a)?", "/b", PATTERN_MATCHES, "/b|b|-"},
    {"an empty group", "^/(a*)$", "/", PATTERN_MATCHES, "/|"},
    {"case", "(?i)^/AB$", "/ab", PATTERN_MATCHES, "/ab"},
    {"characters, not bytes", "^/.$", "/\xc3\xa4", PATTERN_MATCHES, "/\xc3\xa4"},
    {"class of characters", "^/[\xc3\xa4\xc3\xb6]$", "/\xc3\xb6", PATTERN_MATCHES, "/\xc3\xb6"},
    {"the end is not before a line break", "^/x$", "/x\n", PATTERN_DIFFERS, ""},
    {"\\K", "^/a\\K(b)", "/ab", PATTERN_MATCHES, "b|b"},
    {"empty subject", "^$", "", PATTERN_MATCHES, ""},
    {"for ever", "^/(a+)+$", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", PATTERN_GAVE_UP, ""},
    {"for ever, without JIT", "(*NO_JIT)^/(a+)+$", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
     PATTERN_GAVE_UP, ""},
    {"without JIT", "(*NO_JIT)^/(.)$", "/\xc3\xa4", PATTERN_MATCHES, "/\xc3\xa4|\xc3\xa4"},
};

static void join(const struct pattern *p, cs_str subject, char *out, size_t room)
{
    cs_str groups[10];
    size_t n = 0;
    pattern_groups(p, subject, groups);
    out[0] = '\0';
    for (size_t i = 0; i < pattern_ngroups(p); i++)
        n += (size_t)snprintf(out + n, room - n, "%s%.*s", i ? "|" : "",
                              CS_F(groups[i].p ? groups[i] : CS_S("-")));
}

/* All of them in one pool, as in a server. */
static void test_table(void **state)
{
    (void)state;
    struct pattern_pool *pool = pattern_pool_new();
    const struct pattern *all[ARRAY_LEN(rows)];
    struct buf error = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!(all[i] = pattern_new(pool, str_of(rows[i].pattern), &error)))
            fail_msg("%s: %s", rows[i].label, error.p);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cs_str subject = str_of(rows[i].subject);
        char groups[100] = "";
        int result = pattern_try(all[i], subject);
        if (result == PATTERN_MATCHES)
            join(all[i], subject, groups, sizeof groups);
        if (result != rows[i].result || strcmp(groups, rows[i].groups) != 0)
            fail_msg("%s: result %d, groups %s", rows[i].label, result, groups);
    }
    pattern_pool_free(pool);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {"^/(a$", "[", "a**?+", "^/\\C", "\xff", "(?<n"};
    struct pattern_pool *pool = pattern_pool_new();
    struct buf error = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        buf_clear(&error);
        assert_null(pattern_new(pool, str_of(bad[i]), &error));
        if (!strstr(error.p, " at character "))
            fail_msg("%s: %s", bad[i], error.p);
    }
    buf_free(&error);
    pattern_pool_free(pool);
    pattern_pool_free(NULL);
    printf("rows: %zu\n", ARRAY_LEN(bad));
}

/* Where a match may begin anywhere, all of the places together are bounded, and none is left out. */
static void test_long(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text, *fill;
        enum pattern_result result;
        size_t at; /* of a match */
    } rows[] = {
        {"much at each beginning", "(?=a*)a{1,90}?(?=a*)(\\w{1,30})[bc]$", "a", PATTERN_GAVE_UP, 0},
        {"for ever", "(a+)+[bc]", "a", PATTERN_GAVE_UP, 0},
        {"cubes, from one beginning", "^/xa{1,40}a{1,40}a{1,40}[bc]", "a", PATTERN_DIFFERS, 0},
        {"a walk to the end and back", "/x(.*)\\.(zip|gz)$", "a", PATTERN_DIFFERS, 0},
        {"from segment to segment", "(?:/[^/]+)+/end$", "/aa", PATTERN_DIFFERS, 0},
        {"from the beginning to the end", "x(?:a|b)*!", "a", PATTERN_MATCHES, 1},
        {"the last byte", "!$", "a", PATTERN_MATCHES, 8000},
        {"the end", "$", "a", PATTERN_MATCHES, 8001},
        {"what stands before it", "(?<=a)!", "a", PATTERN_MATCHES, 8000},
        {"only at the beginning", "\\Aa|\\A!", "a", PATTERN_DIFFERS, 0},
        {"characters of two bytes", "\\x{e9}!", "\xc3\xa9", PATTERN_MATCHES, 7998},
        {"of three", "\\x{20ac}!", "\xe2\x82\xac", PATTERN_MATCHES, 7997},
    };
    struct pattern_pool *pool = pattern_pool_new();
    struct buf error = {0}, subject = {0};
    cs_str whole[4];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&subject);
        for (buf_add_z(&subject, "/x"); subject.n < 8000;)
            buf_add_z(&subject, rows[i].fill);
        buf_add_char(&subject, '!');
        const struct pattern *p = pattern_new(pool, str_of(rows[i].text), &error);
        int result = pattern_try(p, buf_str(&subject));
        if (result != (int)rows[i].result)
            fail_msg("%s: result %d", rows[i].label, result);
        if (result != PATTERN_MATCHES)
            continue;
        pattern_groups(p, buf_str(&subject), whole);
        if ((size_t)(whole[0].p - subject.p) != rows[i].at)
            fail_msg("%s: at %td", rows[i].label, whole[0].p - subject.p);
    }
    buf_free(&subject);
    pattern_pool_free(pool);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_names(void **state)
{
    (void)state;
    struct pattern_pool *pool = pattern_pool_new();
    struct buf error = {0};
    const struct pattern *p = pattern_new(pool, CS_S("^/(?<id>\\d+)/(x)/(?<a>.*)$"), &error);
    cs_str name;
    size_t group;
    assert_true(pattern_name(p, 0, &name, &group));
    assert_true(str_is(name, "a"));
    assert_int_equal(group, 3);
    assert_true(pattern_name(p, 1, &name, &group));
    assert_true(str_is(name, "id"));
    assert_int_equal(group, 1);
    assert_false(pattern_name(p, 2, &name, &group));
    pattern_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_long), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
