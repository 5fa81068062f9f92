/* line_test.c - one line at a time, and that a written value is the value that is read. */
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

/* Writes the value behind "k = " and before a comment, and reads the line. */
static void check_value(cs_str value, bool always)
{
    struct buf text = {0}, error = {0}, got = {0};
    struct line l;

    buf_add_z(&text, "k = ");
    line_write_value(value, always, false, &text);
    buf_add_z(&text, " ; c");
    line_read(buf_str(&text), &l, &error);
    if (l.kind != LINE_KEY || l.hash_col)
        fail_msg("%s: %s", text.p, error.n ? error.p : "hash");
    if (l.quoted)
        line_unquote(l.value, &got);
    else
        buf_add_str(&got, l.value);
    if (!str_eq(buf_str(&got), value))
        fail_msg("\"%.*s\" written as %s is read as \"%.*s\"", CS_F(value), text.p,
                 CS_F(buf_str(&got)));
    buf_free(&text);
    buf_free(&error);
    buf_free(&got);
}

/* Every value of up to five of the bytes that matter. */
static void test_write_and_read(void **state)
{
    static const char bytes[] = "a \t;#\"\\[=,$";
    const size_t base = sizeof bytes - 1;
    size_t total = 0, n = 1;

    (void)state;
    for (size_t len = 0; len <= 5; len++, n *= base)
        for (size_t i = 0; i < n; i++, total++) {
            char value[8];
            size_t rest = i;

            for (size_t k = 0; k < len; k++, rest /= base)
                value[k] = bytes[rest % base];
            check_value((cs_str){value, len}, i & 1);
        }
    printf("%zu values\n", total);
}

static void test_check_text(void **state)
{
    static const struct {
        const char *label, *text;
        bool quoted;
        size_t at, width;
    } checks[] = {
        {"plain", "abc", false, 3, 0},
        {"two, three and four bytes", "\303\244\342\202\254\360\237\230\200", false, 9, 0},
        {"no-break space", "a\302\240", false, 1, 2},
        {"no-break space in quotes", "a\302\240", true, 3, 0},
        {"tab", "a\tb", false, 3, 0},
        {"bell in quotes", "a\ab", true, 1, 1},
        {"C1 in quotes", "\302\205", true, 0, 2},
        {"overlong", "\300\200", false, 0, 1},
        {"surrogate", "\355\240\200", false, 0, 1},
        {"cut off", "a\342\202", false, 1, 1},
        {"rest of a character", "\240", false, 0, 1},
        {"above U+10FFFF", "\364\220\200\200", false, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        struct buf error = {0};
        size_t width = 0,
               at = line_check_text(str_of(checks[i].text), checks[i].quoted, &width, &error);

        if (at != checks[i].at || (checks[i].width && width != checks[i].width))
            fail_msg("row \"%s\": at %zu, width %zu", checks[i].label, at, width);
        assert_true((error.n > 0) == (checks[i].width > 0));
        buf_free(&error);
    }
    printf("rows: %zu\n", ARRAY_LEN(checks));
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
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_check_text),
        cmocka_unit_test(test_cut_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
