/* Text in a fixed room. */
#include "base/note.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        void (*add)(struct note *t, uint64_t n);
        uint64_t n;
        const char *expect;
    } rows[] = {
        {"nothing", note_add_number, 0, "0"},
        {"a number", note_add_number, 8812, "8812"},
        {"the largest", note_add_number, UINT64_MAX, "18446744073709551615"},
        {"no address", note_add_hex, 0, "0x0"},
        {"an address", note_add_hex, 0x1a3c, "0x1a3c"},
        {"the last address", note_add_hex, UINT64_MAX, "0xffffffffffffffff"},
        {"a small id", note_add_id, 0xab, "00000000000000ab"},
        {"a large id", note_add_id, 0xfedcba9876543210, "fedcba9876543210"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32];
        struct note t = note_on(text, sizeof text);
        rows[i].add(&t, rows[i].n);
        if (strcmp(text, rows[i].expect) != 0 || t.n != strlen(text))
            fail_msg("%s: got %s, expected %s", rows[i].label, text, rows[i].expect);
    }
    print_message("rows: %zu\n", sizeof rows / sizeof *rows);
}

/* What does not fit is cut; the byte behind stays as it was. */
static void test_room(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 12; size++) {
        char text[16];
        memset(text, '#', sizeof text);
        struct note t = note_on(text, size);
        note_add(&t, "abc");
        note_add_str(&t, CS_S("defg"));
        note_add_number(&t, 12);
        size_t n = size - 1 < 9 ? size - 1 : 9;
        assert_int_equal(t.n, n);
        assert_memory_equal(text, "abcdefg12", n);
        assert_int_equal(text[n], '\0');
        assert_int_equal(text[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
