/* base64_test.c - RFC 4648's own examples, all lengths, and what is refused. */
#include "base/base64.h"

#include "base/check.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        cs_str bytes;
        const char *text;
    } table[] = {
        {"empty", {"", 0}, ""},
        {"one", {"f", 1}, "Zg=="},
        {"two", {"fo", 2}, "Zm8="},
        {"three", {"foo", 3}, "Zm9v"},
        {"four", {"foob", 4}, "Zm9vYg=="},
        {"six", {"foobar", 6}, "Zm9vYmFy"},
        {"zeros", {"\0\0\0\0", 4}, "AAAAAA=="},
        {"ones", {"\xff\xff\xff", 3}, "////"},
        {"plus", {"\xfb\xef\xbe", 3}, "++++"},
    };
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        buf_clear(&b);
        base64_add(&b, table[i].bytes);
        if (!str_is(buf_str(&b), table[i].text))
            fail_msg("row \"%s\": %s", table[i].label, b.p);
        buf_clear(&b);
        if (!base64_decode(&b, str_of(table[i].text)) || !str_eq(buf_str(&b), table[i].bytes))
            fail_msg("row \"%s\", back", table[i].label);
    }
    buf_free(&b);
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const table[] = {
        "Z",    "Zg",    "Zg=",  "Zg===", "=",          "====",   "Z===", "Zg==Zg==",  "Zh==",
        "Zm9=", "Zm 9v", "Zm-_", "Zm9\n", "Z\xc3\xa4v", "Zm9v\n", "Zg=v", "Zm9vYmFy=",
    };
    struct buf b = {0};
    buf_add_z(&b, "before");
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (base64_decode(&b, str_of(table[i])) || strcmp(b.p, "before") != 0)
            fail_msg("taken: \"%s\"", table[i]);
    buf_free(&b);
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_every_byte(void **state)
{
    (void)state;
    struct buf all = {0}, text = {0}, back = {0};
    for (unsigned n = 0; n < 520; n++) {
        buf_clear(&text);
        buf_clear(&back);
        base64_add(&text, buf_str(&all));
        assert_true(base64_decode(&back, buf_str(&text)));
        assert_true(str_eq(buf_str(&all), buf_str(&back)));
        buf_add_char(&all, (char)(n * 7 + n / 256));
    }
    buf_free(&all);
    buf_free(&text);
    buf_free(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
