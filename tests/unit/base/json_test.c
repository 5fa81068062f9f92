/* json_test.c - escaping, structure, and finding a key again. */
#include "base/json.h"

#include "base/check.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_escape(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        cs_str text;
        const char *want;
    } table[] = {
        {"plain", {"plain text", 10}, "plain text"},
        {"empty", {"", 0}, ""},
        {"no pointer", {NULL, 0}, ""},
        {"quote", {"a\"b", 3}, "a\\\"b"},
        {"backslash", {"a\\b", 3}, "a\\\\b"},
        {"slash stays", {"a/b", 3}, "a/b"},
        {"short escapes", {"\b\f\n\r\t", 5}, "\\b\\f\\n\\r\\t"},
        {"NUL", {"a\0b", 3}, "a\\u0000b"},
        {"escape byte", {"\x1b[0m", 4}, "\\u001b[0m"},
        {"last control byte", {"\x1f", 1}, "\\u001f"},
        {"delete", {"\x7f", 1}, "\\u007f"},
        {"two bytes", {"\xc3\xa4", 2}, "\xc3\xa4"},
        {"four bytes", {"\xf0\x9f\x98\x80", 4}, "\xf0\x9f\x98\x80"},
        {"Latin-1", {"M\xfcller", 6}, "M\xef\xbf\xbdller"},
        {"cut sequence", {"\xe2\x82", 2}, "\xef\xbf\xbd\xef\xbf\xbd"},
        {"surrogate", {"\xed\xa0\x80", 3}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"lead byte before a quote", {"\xc3\"", 2}, "\xef\xbf\xbd\\\""},
    };
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        buf_clear(&b);
        buf_add_z(&b, "");
        json_escape(&b, table[i].text);
        if (strcmp(b.p, table[i].want) != 0 || !str_is_utf8(buf_str(&b)))
            fail_msg("row \"%s\": %s", table[i].label, b.p);
    }
    buf_free(&b);
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_write(void **state)
{
    (void)state;
    struct buf b = {0};
    struct json j;
    json_init(&j, &b);
    json_object(&j, NULL);
    json_z(&j, "name", "a\"b");
    json_z(&j, "none", NULL);
    json_int(&j, "low", INT64_MIN);
    json_bool(&j, "yes", true);
    json_array(&j, "list");
    json_int(&j, NULL, 1);
    json_object(&j, NULL);
    json_end_object(&j);
    json_array(&j, NULL);
    json_end_array(&j);
    json_str(&j, NULL, CS_S("x"));
    json_end_array(&j);
    json_object(&j, "in\n");
    json_bool(&j, "no", false);
    json_end_object(&j);
    json_int(&j, "last", 2);
    json_end_object(&j);
    assert_string_equal(b.p, "{\"name\":\"a\\\"b\",\"none\":null,\"low\":-9223372036854775808,"
                             "\"yes\":true,\"list\":[1,{},[],\"x\"],\"in\\n\":{\"no\":false},"
                             "\"last\":2}");
    buf_free(&b);
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text, *key, *want; /* want NULL: not found */
    } table[] = {
        {"first", "{\"a\":1,\"b\":2}", "a", "1"},
        {"last", "{\"a\":1,\"b\":2}", "b", "2"},
        {"string", "{\"a\":\"x y\"}", "a", "x y"},
        {"empty string", "{\"a\":\"\"}", "a", ""},
        {"escapes stay", "{\"a\":\"x\\\"y\\\\\"}", "a", "x\\\"y\\\\"},
        {"true", "{\"a\":true}", "a", "true"},
        {"null", "{ \"a\" : null }", "a", "null"},
        {"negative", "{\"a\":-12}", "a", "-12"},
        {"object", "{\"a\":{\"b\":[1,2]},\"c\":3}", "a", "{\"b\":[1,2]}"},
        {"behind an object", "{\"a\":{\"b\":[1,2]},\"c\":3}", "c", "3"},
        {"brackets in strings", "{\"a\":[\"]}\"],\"c\":3}", "c", "3"},
        {"only the top level", "{\"a\":{\"b\":1}}", "b", NULL},
        {"a value is no key", "{\"a\":\"b\"}", "b", NULL},
        {"key within a string", "{\"x\":\"\\\"a\\\":1\",\"a\":2}", "a", "2"},
        {"absent", "{\"a\":1}", "z", NULL},
        {"empty object", "{}", "a", NULL},
        {"empty text", "", "a", NULL},
        {"no object", "[1]", "a", NULL},
        {"cut in the key", "{\"a", "a", NULL},
        {"cut in the string", "{\"a\":\"x", "a", NULL},
        {"cut behind the colon", "{\"a\":", "a", NULL},
        {"cut in an array", "{\"a\":[1,", "a", NULL},
        {"cut behind a backslash", "{\"a\":\"x\\", "a", NULL},
        {"blanks and lines", " {\n \"a\" :\t1 ,\n \"b\" : 2 \n}\n", "b", "2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        cs_str got = {NULL, 0};
        bool found = json_find(str_of(table[i].text), table[i].key, &got);
        if (found != (table[i].want != NULL) || (found && !str_is(got, table[i].want)))
            fail_msg("row \"%s\": %d \"%.*s\"", table[i].label, found, CS_F(got));
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_unescape(void **state)
{
    (void)state;
    static const struct {
        const char *label, *inside;
        cs_str want; /* p NULL: refused */
    } table[] = {
        {"empty", "", {"", 0}},
        {"plain", "a b", {"a b", 3}},
        {"all short ones", "\\\"\\\\\\/\\b\\f\\n\\r\\t", {"\"\\/\b\f\n\r\t", 8}},
        {"between text", "a\\nb", {"a\nb", 3}},
        {"NUL", "a\\u0000b", {"a\0b", 3}},
        {"capital digits", "\\u00E4", {"\xc3\xa4", 2}},
        {"three bytes", "\\u20ac", {"\xe2\x82\xac", 3}},
        {"a pair", "\\ud83d\\ude00", {"\xf0\x9f\x98\x80", 4}},
        {"last code point", "\\udbff\\udfff", {"\xf4\x8f\xbf\xbf", 4}},
        {"UTF-8 stays", "\xc3\xa4", {"\xc3\xa4", 2}},
        {"half a pair", "\\ud83d", {NULL, 0}},
        {"half a pair and text", "\\ud83dabcdef", {NULL, 0}},
        {"second half alone", "\\ude00", {NULL, 0}},
        {"two first halves", "\\ud83d\\ud83d", {NULL, 0}},
        {"unknown letter", "\\x41", {NULL, 0}},
        {"three digits", "\\u123", {NULL, 0}},
        {"no digits", "\\u12g4", {NULL, 0}},
        {"at the end", "abc\\", {NULL, 0}},
        {"behind good ones", "\\n\\q", {NULL, 0}},
    };
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        cs_str want = table[i].want;
        buf_clear(&b);
        buf_add_z(&b, "<");
        bool good = json_unescape(&b, str_of(table[i].inside));
        if (good != (want.p != NULL) || b.n != 1 + want.n ||
            memcmp(b.p + 1, want.p ? want.p : "", want.n) != 0)
            fail_msg("row \"%s\": %d \"%s\"", table[i].label, good, b.p);
    }
    buf_free(&b);
    printf("rows: %zu\n", ARRAY_LEN(table));
}

/* Every byte there is, escaped and back. */
static void test_there_and_back(void **state)
{
    (void)state;
    struct buf all = {0}, escaped = {0}, back = {0};
    for (int c = 0; c < 128; c++)
        buf_add_char(&all, (char)c);
    buf_add_z(&all, "\xc3\xa4\xf0\x9f\x98\x80");
    json_escape(&escaped, buf_str(&all));
    assert_true(json_unescape(&back, buf_str(&escaped)));
    assert_true(str_eq(buf_str(&all), buf_str(&back)));
    buf_free(&all);
    buf_free(&escaped);
    buf_free(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),         cmocka_unit_test(test_write),
        cmocka_unit_test(test_find),           cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
