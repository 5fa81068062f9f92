/* Character classes, derived again from the grammar, and comma lists. */
#include "http/token.h"

#include "edge.h"

#define ALPHA      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGIT      "0123456789"
#define UNRESERVED ALPHA DIGIT "-._~"

static bool is_in(int c, const char *set)
{
    return c > 0 && c < 128 && strchr(set, c) != NULL;
}

static void classes(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool vchar = c > 0x20 && c < 0x7f;
        int want = 0;
        want |= is_in(c, "!#$%&'*+-.^_`|~" ALPHA DIGIT) ? HTTP_CLASS_TCHAR : 0;
        want |= vchar || c == ' ' || c == '\t' || c >= 0x80 ? HTTP_CLASS_VALUE : 0;
        want |= vchar && c != '#' ? HTTP_CLASS_TARGET : 0;
        want |= (vchar || c == ' ') && c != '%' ? HTTP_CLASS_PATH : 0;
        want |= is_in(c, UNRESERVED "!$&'()*+,;=") ? HTTP_CLASS_HOST : 0;
        want |= is_in(c, DIGIT "abcdefABCDEF") ? HTTP_CLASS_HEX : 0;
        want |= is_in(c, UNRESERVED) ? HTTP_CLASS_UNRESERVED : 0;
        if (http_class[c] != want)
            fail_msg("byte 0x%02x: classes 0x%02x, expected 0x%02x", (unsigned)c, http_class[c],
                     (unsigned)want);
    }
}

static void hex(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[2] = {(char)c, 0}, *end;
        int want = is_in(c, DIGIT "abcdefABCDEF") ? (int)strtol(text, &end, 16) : -1;
        assert_int_equal(http_hex_value((unsigned char)c), want);
    }
}

static void words(void **state)
{
    (void)state;
    assert_true(http_is_token(CS_S("a-B.9~")));
    assert_false(http_is_token(CS_S("")));
    assert_false(http_is_token(CS_S("a b")));
    assert_false(http_is_token(CS_S("a\0")));
    assert_true(http_is_field_value(CS_S("a b\t\xff")));
    assert_true(http_is_field_value(CS_S("")));
    assert_false(http_is_field_value(CS_S("a\r")));
    assert_false(http_is_field_value(CS_S("a\x7f")));
}

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *list, *elements;
    } rows[] = {
        {"", ""},
        {"a", "<a>"},
        {"a,b", "<a><b>"},
        {" a\t, b ", "<a><b>"},
        {",a,,b,", "<a><b>"},
        {" , \t,", ""},
        {"a b, c", "<a b><c>"},
        {"a=\"b,c\",d", "<a=\"b,c\"><d>"},
        {"\"a\\\",b\",c", "<\"a\\\",b\"><c>"},
        {"\"a,b", "<\"a,b>"},
        {"\"a\\", "<\"a\\>"},
        {"a\\,b", "<a\\><b>"},
    };
    struct edge page = edge_open(4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char got[128] = "";
        cs_str rest = edge_put(&page, str_of(rows[i].list)), element;
        while (http_list_next(&rest, &element))
            snprintf(got + strlen(got), sizeof got - strlen(got), "<%.*s>", CS_F(element));
        expect_text(rows[i].list, "elements", got, rows[i].elements);
    }
    edge_close(&page);
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

/* A quote does not hide a comma. */
static void lists_of_tokens(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"a", "<a>"},
        {" , a ,,b ", "<a><b>"},
        {"\"a,close", "<\"a><close>"},
        {"\"a\\\",b\",c", "<\"a\\\"><b\"><c>"},
    };
    struct edge page = edge_open(4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char got[128] = "";
        cs_str rest = edge_put(&page, str_of(rows[i][0])), element;
        while (http_tokens_next(&rest, &element))
            snprintf(got + strlen(got), sizeof got - strlen(got), "<%.*s>", CS_F(element));
        expect_text(rows[i][0], "elements", got, rows[i][1]);
    }
    edge_close(&page);
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

static void members(void **state)
{
    (void)state;
    assert_true(http_list_has(CS_S("close"), "close"));
    assert_true(http_list_has(CS_S("a, CLOSE ,b"), "close"));
    assert_false(http_list_has(CS_S("closed"), "close"));
    assert_false(http_list_has(CS_S("a close"), "close"));
    assert_false(http_list_has(CS_S("\"close\""), "close"));
    assert_false(http_list_has(CS_S(""), "close"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes),         cmocka_unit_test(hex),
        cmocka_unit_test(words),           cmocka_unit_test(lists),
        cmocka_unit_test(lists_of_tokens), cmocka_unit_test(members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
