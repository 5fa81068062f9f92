#include "serve/near.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct row {
    const char *label;
    enum conf_match kind;
    const char *match, *path, *why; /* part of the sentence; NULL: far off */
    bool behind;
} rows[] = {
    {"exact, the same but for /", CONF_MATCH_EXACT, "/a", "/a/", "without the /", false},
    {"exact, / is missing", CONF_MATCH_EXACT, "/a/", "/a", "with a /", false},
    {"exact, case", CONF_MATCH_EXACT, "/About", "/about", "case", false},
    {"exact, a letter", CONF_MATCH_EXACT, "/contact", "/contakt", "a letter or two", false},
    {"exact, short ones", CONF_MATCH_EXACT, "/abc", "/abd", NULL, false},
    {"exact, another", CONF_MATCH_EXACT, "/contact", "/imprint", NULL, false},
    {"exact, below it", CONF_MATCH_EXACT, "/contact", "/contact/x", "nothing below it", false},
    {"prefix, fits", CONF_MATCH_PREFIX, "/api", "/api/x", "another one comes first", true},
    {"prefix, fits whole", CONF_MATCH_PREFIX, "/api", "/api", "another one comes first", true},
    {"prefix with /, fits", CONF_MATCH_PREFIX, "/api/", "/api/x", "another one comes first", true},
    {"prefix, all", CONF_MATCH_PREFIX, "/", "/x", "another one comes first", true},
    {"prefix, in a segment", CONF_MATCH_PREFIX, "/api", "/apiary", "where a segment", false},
    {"prefix with /, the folder", CONF_MATCH_PREFIX, "/api/", "/api", "for what is below", false},
    {"prefix, case", CONF_MATCH_PREFIX, "/api/", "/API/x", "case", false},
    {"prefix, a letter", CONF_MATCH_PREFIX, "/users/", "/user/7", "a letter or two", false},
    {"prefix, deep", CONF_MATCH_PREFIX, "/v1/users", "/v1/usres/7", "a letter or two", false},
    {"prefix, another", CONF_MATCH_PREFIX, "/images/", "/users/7", NULL, false},
    {"a regex", CONF_MATCH_REGEX, "^/users/(\\d+)$", "/users/x", NULL, false},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        bool behind = false;
        const char *why = near_why(r->kind, str_of(r->match), str_of(r->path), &behind);

        if (!why != !r->why || (why && !strstr(why, r->why)) || behind != r->behind)
            fail_msg("%s: %s", r->label, why ? why : "far off");
    }
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
