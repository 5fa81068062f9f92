/* chars_test.c - characters that settings must not have. */
#include "conf/chars.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
               at = chars_check(str_of(checks[i].text), checks[i].quoted, &width, &error);

        if (at != checks[i].at || (checks[i].width && width != checks[i].width))
            fail_msg("row \"%s\": at %zu, width %zu", checks[i].label, at, width);
        assert_true((error.n > 0) == (checks[i].width > 0));
        buf_free(&error);
    }
    printf("rows: %zu\n", ARRAY_LEN(checks));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
