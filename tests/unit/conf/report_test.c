/* report_test.c - the exact form of entries, byte by byte. */
#include "fake.h"

static struct conf_origin at(const char *file, int line, int col, const char *text)
{
    return (struct conf_origin){.file = file, .line = line, .col = col, .text = text};
}

static void expect(struct report *r, const char *label, const char *want)
{
    struct buf out = {0};

    report_print(r, &out);
    if (!out.p || strcmp(out.p, want) != 0)
        fail_msg("%s: got\n%s\nwant\n%s", label, out.p ? out.p : "", want);
    buf_free(&out);
    report_free(r);
}

static void test_form(void **state)
{
    struct report r;
    struct conf_origin o = at("conf/cserver.ini", 12, 1, "wokers = 4");

    (void)state;
    report_init(&r);
    report_error(&r, &o, 6, "unknown key \"%s\" in [server]; did you mean \"workers\"?", "wokers");
    expect(&r, "an error",
           "conf/cserver.ini:12:1: error: unknown key \"wokers\" in [server]; did you mean "
           "\"workers\"?\n"
           "   12 | wokers = 4\n"
           "      | ^~~~~~\n");

    report_init(&r);
    o = at("a.ini", 3, 0, "x");
    report_warning(&r, &o, 1, "odd");
    o = at("a.ini", 0, 0, NULL);
    report_error(&r, &o, 1, "cannot be read");
    report_error(&r, NULL, 1, "no place");
    assert_int_equal(r.errors, 2);
    assert_int_equal(r.warnings, 1);
    expect(&r, "less and less of a place",
           "a.ini:3: warning: odd\na.ini: error: cannot be read\nerror: no place\n");

    report_init(&r);
    o = (struct conf_origin){.what = "command line", .col = 8, .text = "server.x=1"};
    report_error(&r, &o, 1, "no");
    expect(&r, "command line", "command line: error: no\n   -g | server.x=1\n      |        ^\n");
}

static void test_caret(void **state)
{
    static const struct {
        const char *label, *text;
        int col, width;
        const char *shown, *caret;
    } rows[] = {
        {"first byte", "abc", 1, 1, "abc", "^"},
        {"width", "abc def", 5, 3, "abc def", "    ^~~"},
        {"width ends with the line", "abc", 2, 99, "abc", " ^~"},
        {"behind the end", "abc", 4, 1, "abc", "   ^"},
        {"far behind the end", "abc", 40, 1, "abc", "   ^"},
        {"a tab stays a tab", "a\tb", 3, 1, "a\tb", " \t^"},
        {"characters of two bytes", "\xc3\xa4\xc3\xb6 x", 6, 1, "\xc3\xa4\xc3\xb6 x", "   ^"},
        {"wide caret of two bytes", "a\xc3\xa4z", 1, 4, "a\xc3\xa4z", "^~~"},
        {"control characters are not shown", "a\x1b[2Jb", 2, 1, "a?[2Jb", " ^"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[200];
        struct report r;
        struct conf_origin o = at("f", 7, rows[i].col, rows[i].text);

        snprintf(want, sizeof want, "f:7:%d: error: m\n    7 | %s\n      | %s\n", rows[i].col,
                 rows[i].shown, rows[i].caret);
        report_init(&r);
        report_error(&r, &o, rows[i].width, "m");
        expect(&r, rows[i].label, want);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_long_line(void **state)
{
    char text[4000];
    struct report r;
    struct buf out = {0};
    struct conf_origin o = at("f", 1, 2001, text);
    const char *line, *caret;

    (void)state;
    memset(text, 'x', sizeof text);
    text[2000] = 'Y';
    text[sizeof text - 1] = '\0';
    report_init(&r);
    report_error(&r, &o, 1, "m");
    report_print(&r, &out);
    assert_true(out.n < 400);
    line = strchr(out.p, '\n') + 1;
    caret = strchr(line, '\n') + 1;
    assert_int_equal(strchr(line, 'Y') - line, strchr(caret, '^') - caret);
    buf_free(&out);
    report_free(&r);
}

/* Strings of the place need not live as long as the report. */
static void test_copies(void **state)
{
    char file[] = "f.ini", text[] = "abc";
    struct report r;
    struct conf_origin o = at(file, 1, 1, text);

    (void)state;
    report_init(&r);
    report_error(&r, &o, 1, "m");
    memset(file, '#', sizeof file);
    memset(text, '#', sizeof text);
    expect(&r, "copied", "f.ini:1:1: error: m\n    1 | abc\n      | ^\n");
}

static void test_sort(void **state)
{
    static const struct {
        const char *file;
        int line;
        const char *message;
    } made[] = {{"a", 5, "3"}, {"b", 2, "6"}, {NULL, 0, "7"}, {"a", 1, "1"},
                {"b", 1, "5"}, {"a", 5, "4"}, {"a", 2, "2"},  {NULL, 0, "8"}};
    struct report r;
    char got[16] = "";

    (void)state;
    report_init(&r);
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        struct conf_origin o = at(made[i].file, made[i].line, 0, NULL);

        report_error(&r, &o, 1, "%s", made[i].message);
    }
    report_sort(&r);
    for (const struct report_entry *e = r.first; e; e = e->next)
        strcat(got, e->message);
    assert_string_equal(got, "12345678");
    report_error(&r, NULL, 1, "9");
    assert_string_equal((*r.last == NULL ? "end" : "not the end"), "end");
    report_free(&r);
}

static void test_summary(void **state)
{
    struct report r;
    struct buf out = {0};
    struct conf_origin o = at("f", 3, 4, "abcd");

    (void)state;
    report_init(&r);
    assert_int_equal(report_summary(&r, &out).n, 0);
    report_warning(&r, &o, 1, "first");
    report_error(&r, &o, 1, "second");
    report_error(&r, &o, 1, "third");
    assert_true(str_is(report_summary(&r, &out), "f:3:4: error: second"));
    buf_free(&out);
    report_free(&r);
}

static void test_point(void **state)
{
    static const struct {
        const char *label, *text;
        int col;
        const char *what;
        int want;
    } rows[] = {
        {"element", "host = a, b", 8, "b", 11},
        {"whole word first", "host = max.com, x.com", 8, "x.com", 17},
        {"no whole word", "host = ${x}y", 8, "x", 10},
        {"case", "host = a, B", 8, "b", 11},
        {"not before the column", "a = b, c", 5, "a", 5},
        {"not there", "a = b", 5, "q", 5},
        {"nothing", "a = b", 5, "", 5},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf_origin o = at("f", 1, rows[i].col, rows[i].text);

        if (report_point(&o, str_of(rows[i].what)).col != rows[i].want)
            fail_msg("row \"%s\": %d", rows[i].label, report_point(&o, str_of(rows[i].what)).col);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),      cmocka_unit_test(test_caret),
        cmocka_unit_test(test_long_line), cmocka_unit_test(test_copies),
        cmocka_unit_test(test_sort),      cmocka_unit_test(test_summary),
        cmocka_unit_test(test_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
