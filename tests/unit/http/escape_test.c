/* Texts for paths, queries, HTML and JSON. */
#include "http/escape.h"

#include "base/check.h"
#include "edge.h"

static const struct row {
    const char *label;
    int where;
    const char *text, *want;
} rows[] = {
    {"a plain path", CS_ESCAPE_PATH, "/a/b.c", "/a/b.c"},
    {"a blank in a path", CS_ESCAPE_PATH, "/a b", "/a%20b"},
    {"sub-delims stay in a path", CS_ESCAPE_PATH, "/!$&'()*+,;=~", "/!$&'()*+,;=~"},
    {"question mark and hash in a path", CS_ESCAPE_PATH, "/a?b#c", "/a%3Fb%23c"},
    {"a percent sign in a path", CS_ESCAPE_PATH, "/100%", "/100%25"},
    {"an encoded slash stays one", CS_ESCAPE_PATH, "/a%2Fb", "/a%2Fb"},
    {"what would be a scheme", CS_ESCAPE_PATH, "javascript:x", "javascript%3Ax"},
    {"bytes above ASCII in a path", CS_ESCAPE_PATH, "/\xc3\xa9", "/%C3%A9"},
    {"a line end in a path", CS_ESCAPE_PATH, "/a\r\n", "/a%0D%0A"},
    {"a plain value", CS_ESCAPE_QUERY, "aZ09-._~", "aZ09-._~"},
    {"what separates values", CS_ESCAPE_QUERY, "a&b=c/d+e f", "a%26b%3Dc%2Fd%2Be%20f"},
    {"a percent sign in a value", CS_ESCAPE_QUERY, "%2F", "%252F"},
    {"plain HTML", CS_ESCAPE_HTML, "Hello, \xc3\xa9", "Hello, \xc3\xa9"},
    {"a tag", CS_ESCAPE_HTML, "<b x=\"1\" y='2'>&amp;",
     "&lt;b x=&quot;1&quot; y=&#39;2&#39;&gt;&amp;amp;"},
    {"plain JSON", CS_ESCAPE_JSON, "Hello, \xc3\xa9", "Hello, \xc3\xa9"},
    {"quotes and backslashes", CS_ESCAPE_JSON, "\"a\\b\"", "\\\"a\\\\b\\\""},
    {"single quotes, for JavaScript", CS_ESCAPE_JSON, "it's", "it\\u0027s"},
    {"control bytes", CS_ESCAPE_JSON, "\n\t\x01", "\\n\\t\\u0001"},
    {"no UTF-8", CS_ESCAPE_JSON, "a\xff", "a\xef\xbf\xbd"},
    {"empty", CS_ESCAPE_HTML, "", ""},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        cs_str text = str_of(row->text);
        char out[200];
        long n = http_escape(row->where, text, NULL);
        assert_true(n >= 0 && (size_t)n < sizeof out);
        assert_int_equal(http_escape(row->where, text, out), n);
        if (!str_is((cs_str){out, (size_t)n}, row->want))
            fail_msg("\"%s\": \"%.*s\"", row->label, (int)n, out);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

/* No byte grows more than the header says, and the count is right for each. */
static void test_growth(void **state)
{
    (void)state;
    for (int where = CS_ESCAPE_PATH; where <= CS_ESCAPE_JSON; where++)
        for (int c = 0; c < 256; c++) {
            char byte = (char)c, out[HTTP_ESCAPE_GROWS];
            long n = http_escape(where, (cs_str){&byte, 1}, NULL);
            assert_in_range(n, 1, HTTP_ESCAPE_GROWS);
            assert_int_equal(http_escape(where, (cs_str){&byte, 1}, out), n);
        }
}

static void test_unknown_place(void **state)
{
    (void)state;
    assert_int_equal(http_escape(-1, CS_S("a"), NULL), -1);
    assert_int_equal(http_escape(CS_ESCAPE_URL, CS_S("a"), NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_growth),
                                       cmocka_unit_test(test_unknown_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
