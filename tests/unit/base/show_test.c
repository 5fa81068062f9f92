/* show_test.c - what a terminal gets to see. */
#include "base/show.h"

#include "base/check.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        cs_str bytes;
        const char *want;
    } table[] = {
        {"empty", {"", 0}, ""},
        {"plain", {"on, ~!", 6}, "on, ~!"},
        {"UTF-8",
         {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", 11},
         "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"backslash", {"a\\x41", 5}, "a\\x5cx41"},
        {"NUL", {"a\0b", 3}, "a\\x00b"},
        {"line end", {"a\r\n", 3}, "a\\x0d\\x0a"},
        {"tab", {"\t", 1}, "\\x09"},
        {"colours", {"\x1b[31m", 5}, "\\x1b[31m"},
        {"delete", {"\x7f", 1}, "\\x7f"},
        {"a control character of two bytes", {"\xc2\x9b", 2}, "\\xc2\\x9b"},
        {"the first behind them", {"\xc2\xa0", 2}, "\xc2\xa0"},
        {"Latin-1", {"M\xfcller", 6}, "M\\xfcller"},
        {"cut sequence", {"\xe2\x82", 2}, "\\xe2\\x82"},
        {"line separator", {"\xe2\x80\xa8", 3}, "\\xe2\\x80\\xa8"},
        {"from right to left", {"\xe2\x80\xae", 3}, "\\xe2\\x80\\xae"},
        {"isolate", {"\xe2\x81\xa6", 3}, "\\xe2\\x81\\xa6"},
        {"byte order mark", {"\xef\xbb\xbf", 3}, "\\xef\\xbb\\xbf"},
        {"tags", {"\xf3\xa0\x80\x81", 4}, "\\xf3\\xa0\\x80\\x81"},
        {"all ones", {"\xff\xff", 2}, "\\xff\\xff"},
    };
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        buf_clear(&b);
        buf_add_z(&b, "");
        show_bytes(&b, table[i].bytes);
        if (strcmp(b.p, table[i].want) != 0)
            fail_msg("row \"%s\": %s", table[i].label, b.p);
    }
    buf_free(&b);
    printf("rows: %zu\n", ARRAY_LEN(table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
