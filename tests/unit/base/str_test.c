/* str_test.c - the string calls, row by row. */
#include "base/str.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text;
        char sep;
        const char *pieces; /* joined by "|", with one at the end of each */
    } table[] = {
        {"two pieces", "a,b", ',', "a|b|"},
        {"one piece", "abc", ',', "abc|"},
        {"separator at the end", "a,", ',', "a||"},
        {"separator at the start", ",a", ',', "|a|"},
        {"only a separator", ",", ',', "||"},
        {"empty text", "", ',', "|"},
        {"no text", NULL, ',', ""},
        {"empty piece inside", "a,,b", ',', "a||b|"},
        {"slashes", "/x/y/", '/', "|x|y||"},
        {"other separators stay", "a;b,c", ',', "a;b|c|"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char got[64] = "";
        cs_str rest = str_of(table[i].text), piece;
        while (str_split(&rest, table[i].sep, &piece)) {
            size_t n = strlen(got);
            snprintf(got + n, sizeof(got) - n, "%.*s|", CS_F(piece));
        }
        if (strcmp(got, table[i].pieces) != 0)
            fail_msg("row \"%s\": got \"%s\"", table[i].label, got);
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_trim(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text, *want;
    } table[] = {
        {"nothing to do", "abc", "abc"},
        {"both ends", " \tabc\t ", "abc"},
        {"inside stays", " a b ", "a b"},
        {"only blanks", " \t ", ""},
        {"empty", "", ""},
        {"line end is no blank", "abc\r\n", "abc\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        cs_str got = str_trim(str_of(table[i].text));
        if (!str_is(got, table[i].want))
            fail_msg("row \"%s\": got \"%.*s\"", table[i].label, CS_F(got));
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_to_u64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t want;
    } table[] = {
        {"0", 10, true, 0},
        {"10", 10, true, 10},
        {"11", 10, false, 0},
        {"9", 3, false, 0},
        {"0", 0, true, 0},
        {"1", 0, false, 0},
        {"007", 10, true, 7},
        {"00000000000000000000000000012", 12, true, 12},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999", UINT64_MAX, false, 0},
        {"", 10, false, 0},
        {"-1", 10, false, 0},
        {"+1", 10, false, 0},
        {" 1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"1x", 10, false, 0},
        {"0x1", 10, false, 0},
        {"\xb2", 10, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        uint64_t got = 77;
        bool ok = str_to_u64(str_of(table[i].text), table[i].max, &got);
        if (ok != table[i].ok || got != (ok ? table[i].want : 77))
            fail_msg("row \"%s\": %d, %llu", table[i].text, ok, (unsigned long long)got);
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_compare(void **state)
{
    (void)state;
    assert_true(str_eq(CS_S(""), (cs_str){NULL, 0}));
    assert_false(str_eq(CS_S("a"), CS_S("ab")));
    assert_true(str_eq((cs_str){"a\0b", 3}, (cs_str){"a\0b", 3}));
    assert_false(str_eq((cs_str){"a\0b", 3}, (cs_str){"a\0c", 3}));
    assert_true(str_starts(CS_S("abc"), CS_S("")));
    assert_true(str_starts(CS_S("abc"), CS_S("abc")));
    assert_false(str_starts(CS_S("abc"), CS_S("abcd")));
    assert_true(str_eq_nocase(CS_S("Content-LENGTH"), CS_S("content-length")));
    assert_false(str_eq_nocase(CS_S("a"), CS_S("ab")));
    /* Only letters fold: these pairs differ by the same bit. */
    assert_false(str_eq_nocase(CS_S("@"), CS_S("`")));
    assert_false(str_eq_nocase(CS_S("["), CS_S("{")));
    assert_false(str_eq_nocase(CS_S("\xc4"), CS_S("\xe4")));
    assert_int_equal(str_of(NULL).n, 0);
    assert_null(str_of(NULL).p);
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text;
        bool want;
    } table[] = {
        {"empty", "", true},
        {"ASCII", "plain text", true},
        {"U+007F", "\x7f", true},
        {"first of two bytes", "\xc2\x80", true},
        {"last of two bytes", "\xdf\xbf", true},
        {"first of three bytes", "\xe0\xa0\x80", true},
        {"last before the surrogates", "\xed\x9f\xbf", true},
        {"first behind the surrogates", "\xee\x80\x80", true},
        {"U+FFFF", "\xef\xbf\xbf", true},
        {"first of four bytes", "\xf0\x90\x80\x80", true},
        {"U+10FFFF", "\xf4\x8f\xbf\xbf", true},
        {"mixed", "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z", true},
        {"lone continuation", "\x80", false},
        {"last continuation", "\xbf", false},
        {"overlong slash, two bytes", "\xc0\xaf", false},
        {"overlong, C1", "\xc1\xbf", false},
        {"overlong slash, three bytes", "\xe0\x80\xaf", false},
        {"overlong, E0 9F", "\xe0\x9f\xbf", false},
        {"overlong, four bytes", "\xf0\x8f\xbf\xbf", false},
        {"first surrogate", "\xed\xa0\x80", false},
        {"last surrogate", "\xed\xbf\xbf", false},
        {"above U+10FFFF", "\xf4\x90\x80\x80", false},
        {"F5", "\xf5\x80\x80\x80", false},
        {"FE", "\xfe", false},
        {"FF", "\xff", false},
        {"cut after one of two", "a\xc3", false},
        {"cut after two of three", "a\xe2\x82", false},
        {"cut after three of four", "\xf0\x9f\x98", false},
        {"ASCII where a continuation must be", "\xc3(", false},
        {"third byte wrong", "\xe2\x82(", false},
        {"fourth byte wrong", "\xf0\x9f\x98(", false},
        {"Latin-1", "M\xfcller", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        /* A heap copy without a NUL, so that ASan sees a read behind the end. */
        size_t n = strlen(table[i].text);
        char *copy = malloc(n ? n : 1);
        memcpy(copy, table[i].text, n);
        bool got = str_is_utf8((cs_str){copy, n});
        free(copy);
        if (got != table[i].want)
            fail_msg("row \"%s\": %d", table[i].label, got);
    }
    assert_true(str_is_utf8((cs_str){"a\0b", 3}));
    assert_int_equal(str_utf8_next(CS_S("")), 0);
    assert_int_equal(str_utf8_next(CS_S("\xe2\x82\xac+")), 3);
    printf("rows: %zu\n", ARRAY_LEN(table));
}

/* The definition itself, as a full matrix. */
static unsigned slow_distance(const char *a, const char *b)
{
    static unsigned m[40][40];
    size_t na = strlen(a), nb = strlen(b);
    for (size_t i = 0; i <= na; i++) {
        for (size_t j = 0; j <= nb; j++) {
            unsigned best = i == 0 ? (unsigned)j : j == 0 ? (unsigned)i : 99;
            if (i && j) {
                unsigned up = m[i - 1][j] + 1, left = m[i][j - 1] + 1;
                unsigned diagonal = m[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
                best = up < left ? up : left;
                best = diagonal < best ? diagonal : best;
            }
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                m[i - 2][j - 2] + 1 < best)
                best = m[i - 2][j - 2] + 1;
            m[i][j] = best;
        }
    }
    return m[na][nb];
}

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned max, want;
    } table[] = {
        {"", "", 2, 0},
        {"listen", "listen", 2, 0},
        {"listen", "lisen", 2, 1},
        {"listen", "liisten", 2, 1},
        {"listen", "lis", 9, 3},
        {"listen", "listem", 2, 1},
        {"listen", "lsiten", 2, 1},
        {"listen", "ilstne", 2, 2},
        {"workers", "worksr", 2, 2},
        {"ca", "abc", 9, 3}, /* 2 would need an edit inside a swapped pair */
        {"", "abc", 9, 3},
        {"abc", "", 9, 3},
        {"abc", "", 2, 3},
        {"abc", "xyz", 1, 2},
        {"abc", "xyz", 0, 1},
        {"abc", "abd", 0, 1},
        {"abc", "abc", 0, 0},
        {"ab", "ba", 1, 1},
        {"kitten", "sitting", 9, 3},
        {"Root", "root", 2, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        unsigned got = str_distance(str_of(table[i].a), str_of(table[i].b), table[i].max);
        if (got != table[i].want)
            fail_msg("row \"%s\" and \"%s\": %u", table[i].a, table[i].b, got);
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void random_word(char *out, unsigned *seed)
{
    int n = rand_r(seed) % 9;
    for (int i = 0; i < n; i++)
        out[i] = (char)('a' + rand_r(seed) % 3);
    out[n] = '\0';
}

/* Stopping early must not change an answer that is not above max. */
static void test_distance_random(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int i = 0; i < 20000; i++) {
        char a[10], b[10];
        random_word(a, &seed);
        random_word(b, &seed);
        unsigned max = (unsigned)i % 5, want = slow_distance(a, b);
        unsigned got = str_distance(str_of(a), str_of(b), max);
        if (got != (want > max ? max + 1 : want))
            fail_msg("\"%s\" and \"%s\", max %u: %u, not %u", a, b, max, got, want);
    }
}

static void test_distance_long(void **state)
{
    (void)state;
    char a[400], b[400];
    memset(a, 'a', sizeof(a));
    memset(b, 'a', sizeof(b));
    b[0] = 'b';
    assert_int_equal(str_distance((cs_str){a, 255}, (cs_str){b, 255}, 2), 1);
    assert_int_equal(str_distance((cs_str){a, 256}, (cs_str){b, 256}, 2), 3);
    assert_int_equal(str_distance((cs_str){a, 400}, (cs_str){a, 400}, 2), 0);
}

static void test_utf8_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
    } rows[] = {
        {"", 0},
        {"abc", 3},
        {"a\xc3\xa4", 3},
        {"a\xc3", 1},
        {"\xe2\x82\xac", 3},
        {"a\xe2\x82", 1},
        {"a\xe2", 1},
        {"\xf0\x9f\x98\x80", 4},
        {"a\xf0\x9f\x98", 1},
        {"\xf0\x9f\x98", 0},
        {"a\xff", 2},
        {"\x80\x80\x80\x80", 4},
        {"\x80", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(str_utf8_whole(str_of(rows[i].text)).n, rows[i].n);
    print_message("rows: %zu\n", sizeof rows / sizeof *rows);
}

static int print(char *to, size_t room, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int print(char *to, size_t room, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = str_vprintf(to, room, fmt, ap);
    va_end(ap);
    return n;
}

/* The same as snprintf, with any room, and nothing is written behind it. */
#define SAME(...)                                                                                  \
    for (size_t room = 0; room < 40; room++) {                                                     \
        char want[48], got[48];                                                                    \
        memset(want, '~', sizeof want);                                                            \
        memset(got, '~', sizeof got);                                                              \
        int n = snprintf(want, room, __VA_ARGS__);                                                 \
        assert_int_equal(print(got, room, __VA_ARGS__), n);                                        \
        size_t used = room < (size_t)n + 1 ? room : (size_t)n + 1;                                 \
        assert_memory_equal(got, want, used);                                                      \
        assert_int_equal(got[room], '~');                                                          \
    }

static void test_vprintf(void **state)
{
    (void)state;
    const char *empty = "";
    SAME("plain")
    SAME("%s", "text")
    SAME("%s%s", "one", "two")
    SAME("a %s b %.*s c", "x", 3, "yyyzzz")
    SAME("%.*s\n", 20, "shorter")
    SAME("%.*s|", 0, "nothing")
    SAME("%.*s|", -1, "all")
    SAME("%s|%s", empty, "x")
    SAME("%%s %s", "x")
    SAME("%s %d", "x", 7)
    SAME("%5s|%-5s|%.2s", "a", "b", "ccc")
    SAME("%s%c%llu", "x", 'y', 1ull << 40)
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),         cmocka_unit_test(test_trim),
        cmocka_unit_test(test_to_u64),        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_utf8),          cmocka_unit_test(test_utf8_whole),
        cmocka_unit_test(test_distance),      cmocka_unit_test(test_distance_random),
        cmocka_unit_test(test_distance_long), cmocka_unit_test(test_vprintf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
