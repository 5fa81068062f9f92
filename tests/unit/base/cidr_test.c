#include "base/cidr.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
    const char *block, *addr;
    bool has;
};

static const struct row rows[] = {
    {"10.0.0.0/8", "10.255.1.2", true},
    {"10.0.0.0/8", "11.0.0.0", false},
    {"10.0.0.0/8", "::ffff:10.1.1.1", true},
    {"::ffff:10.0.0.0/104", "10.1.1.1", true},
    {"192.0.2.128/25", "192.0.2.128", true},
    {"192.0.2.128/25", "192.0.2.127", false},
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.0", false},
    {"192.0.2.1/32", "192.0.2.1", true},
    {"0.0.0.0/0", "255.255.255.255", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "1.2.3.4", false},
    {"::/64", "::ffff:1.2.3.4", false},
    {"::/64", "::1", true},
    {"::ffff:0:0/96", "1.2.3.4", true},
    {"2001:db8::/32", "2001:db8:ffff::", true},
    {"2001:db8::/32", "2001:db9::", false},
    {"2001:db8::/33", "2001:db8:8000::", false},
    {"2001:db8::1", "2001:db8:0:0::1", true},
    {"2001:db8::1/128", "2001:db8::2", false},
    {"fe80::/10", "febf::1", true},
    {"fe80::/10", "fec0::1", false},
};

static const char *const bad[] = {
    "",
    "10",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/a",
    "10.0.0.1/8",
    "010.0.0.0",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "example.com",
    ":::",
    "::1/129",
    "2001:db8::1/32",
    "[::1]",
    "fe80::1%eth0",
    "10.0.0.0 /8",
    " 10.0.0.1",
    "0x0a000001",
    "::ffff:10.0.0.1/8",
    "/8",
};

static void test_has(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cidr c;
        struct cidr_addr a;
        const char *error;
        bool good = cidr_parse(str_of(rows[i].block), &c, &error) &&
                    cidr_addr_parse(str_of(rows[i].addr), &a);
        if (!good || cidr_has(&c, &a) != rows[i].has)
            fail_msg("%s has %s", rows[i].block, rows[i].addr);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct cidr c;
        const char *error = NULL;
        if (cidr_parse(str_of(bad[i]), &c, &error) || !error)
            fail_msg("\"%s\" was taken", bad[i]);
    }
    printf("rows: %zu\n", ARRAY_LEN(bad));
}

static void test_text(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"127.0.0.1", "127.0.0.1"},
        {"0.10.100.255", "0.10.100.255"},
        {"9.99.199.200", "9.99.199.200"},
        {"255.255.255.255", "255.255.255.255"},
        {"::ffff:10.0.0.1", "10.0.0.1"},
        {"::1", "::1"},
        {"::10.0.0.1", "::10.0.0.1"},
        {"2001:DB8:0::5", "2001:db8::5"},
        {"2001:db80:1111:2222:3333:4444:5555:6666", "2001:db80:1111:2222:3333:4444:5555:6666"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char text[CIDR_TEXT_MAX];
        struct cidr_addr a;
        assert_true(cidr_addr_parse(str_of(texts[i][0]), &a));
        size_t n = cidr_addr_text(&a, text);
        if (strcmp(text, texts[i][1]) != 0 || n != strlen(text))
            fail_msg("row \"%s\": %s", texts[i][0], text);
    }
    printf("rows: %zu\n", ARRAY_LEN(texts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_has), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
