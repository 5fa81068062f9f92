#include "serve/literal.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cmocka.h>

struct row {
    const char *pattern, *literal;
};

static const struct row rows[] = {
    {"^/users/(\\d+)$", "/users/"},
    {"^/a.b", "/a"},
    {"^/a\\.b$", "/a.b"},
    {"^/ab*", "/a"},
    {"^/ab?c", "/a"},
    {"^/ab{0,3}", "/a"},
    {"^/ab+c", "/ab"},
    {"^/a|^/b", ""},
    {"^/(a|b)/c", "/"},
    {"^/x[|]y", "/x"},
    {"^/x\\|y", "/x|y"},
    {"^/x[]|]y|z", ""},
    {"^/x[^]|]y", "/x"},
    {"^/x[[:alpha:]|]y", "/x"},
    {"^/x[\\]|]y", "/x"},
    {"/users/", ""},
    {"(?i)^/users", ""},
    {"^(?i)/users", ""},
    {"^/a(?i)b", "/a"},
    {"^/\\d", "/"},
    {"^\\/x", "/x"},
    {"^/\xc3\xa9*", "/"},
    {"^/\xc3\xa9/", "/\xc3\xa9/"},
    {"^/\\Qa|b\\E", ""},
    {"^/x(?#|)y", ""},
    {"^/x(*MARK:()|/y", ""},
    {"^/x(?C'(')|/y", ""},
    {"^", ""},
    {"", ""},
    {"^^/x", ""},
    {"^/a$", "/a"},
    {"^/a\\b", "/a"},
    {"(*UCP)^/x", ""},
    {"^/(?=a|b)c", "/"},
    {"^/a-b_c~d%20e", "/a-b_c~d%20e"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[64];
        size_t n = literal_of(str_of(rows[i].pattern), out);
        if (!str_is((cs_str){out, n}, rows[i].literal))
            fail_msg("%s: \"%.*s\"", rows[i].pattern, (int)n, out);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* Whatever a random pattern matches, at any place, begins with its literal at the beginning. */
static void test_random(void **state)
{
    static const char letters[] = "^/ab|()[]{}*+?.\\$-1,:QE#";
    static const char *const paths[] = {"/",     "/a", "/b",  "/ab", "/ba",
                                        "/aa/b", "b",  "a/b", "",    "/a/b/a"};
    unsigned seed = 7;
    size_t used = 0;
    (void)state;
    for (int i = 0; i < 300000; i++) {
        char pattern[12] = "^", out[12];
        size_t n = 1 + (size_t)rand_r(&seed) % 9;
        for (size_t k = 1; k <= n; k++)
            pattern[k] = letters[(size_t)rand_r(&seed) % (sizeof letters - 1)];
        int error;
        PCRE2_SIZE at;
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, n + 1, PCRE2_UTF, &error, &at, NULL);
        if (!code)
            continue;
        size_t len = literal_of((cs_str){pattern, n + 1}, out);
        pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
        for (size_t k = 0; k < ARRAY_LEN(paths) && len; k++)
            if (pcre2_match(code, (PCRE2_SPTR)paths[k], strlen(paths[k]), 0, 0, data, NULL) >= 0) {
                used++;
                if (!str_starts(str_of(paths[k]), (cs_str){out, len}))
                    fail_msg("%s matches %s, which does not begin with %.*s", pattern, paths[k],
                             (int)len, out);
            }
        pcre2_match_data_free(data);
        pcre2_code_free(code);
    }
    assert_true(used > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
