/* line_test.c - one line at a time. */
#include "conf/line.h"

#include "fake.h"

#include <stdlib.h>

static const struct {
    const char *label, *text;
    enum line_kind kind;
    const char *name, *rest; /* rest: the label or the value */
    int value_col;
} rows[] = {
    {"nothing", "", LINE_BLANK, "", "", 0},
    {"blanks", " \t ", LINE_BLANK, "", "", 0},
    {"comment", "; a = b", LINE_BLANK, "", "", 0},
    {"hash", "#[a]", LINE_BLANK, "", "", 0},
    {"indented comment", "   ; a", LINE_BLANK, "", "", 0},
    {"section", "[server]", LINE_SECTION, "server", "", 0},
    {"section with blanks behind", "[server]  \t", LINE_SECTION, "server", "", 0},
    {"section and comment", "[server] ;]", LINE_SECTION, "server", "", 0},
    {"label", "[site:a.b-c_D9]", LINE_SECTION, "site", "a.b-c_D9", 0},
    {"key", "a = b", LINE_KEY, "a", "b", 5},
    {"tight key", "a=b", LINE_KEY, "a", "b", 3},
    {"module.key", "hello.greeting = b", LINE_KEY, "hello.greeting", "b", 18},
    {"no value", "a =", LINE_KEY, "a", "", 4},
    {"only a comment", "a = ; b", LINE_KEY, "a", "", 5},
    {"comment behind", "a = b ; c", LINE_KEY, "a", "b", 5},
    {"comment after a tab", "a = b\t; c", LINE_KEY, "a", "b", 5},
    {"semicolon inside", "a = b;c", LINE_KEY, "a", "b;c", 5},
    {"second equals", "a = = b", LINE_KEY, "a", "= b", 5},
    {"quoted", "a = \"b ; c\" ; d", LINE_KEY, "a", "b ; c", 6},
    {"quoted nothing", "a = \"\"", LINE_KEY, "a", "", 6},
    {"escapes are still there", "a = \"\\\"\\\\\"", LINE_KEY, "a", "\\\"\\\\", 6},
    {"more", "  b", LINE_MORE, "", "b", 3},
    {"more after a tab", "\tb ; c", LINE_MORE, "", "b", 2},
    {"more, quoted", "  \"[b]\"", LINE_MORE, "", "[b]", 4},
    {"more with equals later", "  b c = d", LINE_MORE, "", "b c = d", 3},
    {"more with another sign", "  a!b=c", LINE_MORE, "", "a!b=c", 3},
};

static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct line l;
        struct buf error = {0};
        cs_str rest;

        line_read(str_of(rows[i].text), &l, &error);
        rest = l.kind == LINE_SECTION ? l.label : l.value;
        if (l.kind != rows[i].kind || !str_is(l.name, rows[i].name) ||
            !str_is(rest, rows[i].rest) || l.value_col != rows[i].value_col)
            fail_msg("row \"%s\": kind %d, \"%.*s\", \"%.*s\", column %d: %s", rows[i].label,
                     (int)l.kind, CS_F(l.name), CS_F(rest), l.value_col, error.n ? error.p : "");
        buf_free(&error);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* The text of a line has no byte behind it: a copy without NUL for ASan to watch, cut at every
 * place. */
static void test_cut_everywhere(void **state)
{
    static const char *const lines[] = {"[site:a] ; x",         "key = \"a\\\"b\" ; c",
                                        "key = a\302\240b ; c", "  \"more\" ;",
                                        "k = \342\200\234x",    "a:b = c"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        for (size_t n = 0; n <= strlen(lines[i]); n++) {
            char *copy = malloc(n + !n);
            struct buf error = {0};
            struct line l;

            memcpy(copy, lines[i], n);
            line_read((cs_str){copy, n}, &l, &error);
            assert_true((l.kind == LINE_BAD) == (error.n > 0));
            assert_true(l.kind != LINE_BAD || (l.bad_col >= 1 && l.bad_col <= (int)n + 1));
            buf_free(&error);
            free(copy);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_cut_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
