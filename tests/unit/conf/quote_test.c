/* quote_test.c - a value that is written is the value that is read. */
#include "conf/quote.h"

#include "base/check.h"
#include "conf/line.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Writes the value behind "k = " and before a comment, and reads the line. */
static void check_value(cs_str value, bool always)
{
    struct buf text = {0}, error = {0}, got = {0};
    struct line l;

    buf_add_z(&text, "k = ");
    quote_write(value, always, false, &text);
    buf_add_z(&text, " ; c");
    line_read(buf_str(&text), &l, &error);
    if (l.kind != LINE_KEY || l.hash_col)
        fail_msg("%s: %s", text.p, error.n ? error.p : "hash");
    if (l.quoted)
        quote_undo(l.value, &got);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
