/* Cutting JSON arrays into elements: for the command line, which reads the master's answers. */
#include "proc/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
    const char *label, *array, *elements; /* each followed by '|' */
};

static const struct row rows[] = {
    {"empty", "[]", ""},
    {"nothing at all", "", ""},
    {"one number", "[1]", "1|"},
    {"numbers", "[1,2,3]", "1|2|3|"},
    {"blanks", "[1, 2, 3]", "1|2|3|"},
    {"strings lose their quotes", "[\"a\",\"b\"]", "a|b|"},
    {"a comma in a string", "[\"a,b\",\"c\"]", "a,b|c|"},
    {"a bracket in a string", "[\"a]b\",\"[c\"]", "a]b|[c|"},
    {"an escaped quote", "[\"a\\\"b\",\"c\"]", "a\\\"b|c|"},
    {"an escaped backslash", "[\"a\\\\\",\"c\"]", "a\\\\|c|"},
    {"objects", "[{\"a\":1,\"b\":2},{\"a\":3}]", "{\"a\":1,\"b\":2}|{\"a\":3}|"},
    {"objects in objects", "[{\"a\":{\"b\":[1,2]}},4]", "{\"a\":{\"b\":[1,2]}}|4|"},
    {"braces in strings in objects", "[{\"a\":\"}\"},4]", "{\"a\":\"}\"}|4|"},
    {"arrays", "[[1,2],[3]]", "[1,2]|[3]|"},
    {"cut off", "[1,\"ab", "1|\"ab|"},
    {"cut off behind a backslash", "[\"ab\\", "\"ab\\|"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = {0};
        cs_str rest = str_of(rows[i].array), element;

        for (int n = 0; n < 100 && client_next(&rest, &element); n++) {
            buf_add_str(&out, element);
            buf_add_char(&out, '|');
        }
        if (!str_is(buf_str(&out), rows[i].elements))
            fail_msg("%s: %.*s", rows[i].label, (int)out.n, out.p);
        buf_free(&out);
    }
    printf("rows: %zu\n", sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
