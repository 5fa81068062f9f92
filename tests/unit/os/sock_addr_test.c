/* sock_addr_test.c - addresses as text. */
#include "os/sock_addr.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LONG_PATH_107                                                                              \
    "/a23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"  \
    "1234567890123456"

static void test_good_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* as written again */
        int family;
        bool both;
    } table[] = {
        {"127.0.0.1:80", "127.0.0.1:80", AF_INET, false},
        {"0.0.0.0:8080", "0.0.0.0:8080", AF_INET, false},
        {"255.255.255.255:65535", "255.255.255.255:65535", AF_INET, false},
        {"127.0.0.1:0", "127.0.0.1:0", AF_INET, false},
        {"127.0.0.1:0080", "127.0.0.1:80", AF_INET, false},
        {":8080", "*:8080", AF_INET6, true},
        {"*:8080", "*:8080", AF_INET6, true},
        {":0", "*:0", AF_INET6, true},
        {"[::]:80", "[::]:80", AF_INET6, false},
        {"[::1]:443", "[::1]:443", AF_INET6, false},
        {"[2001:DB8:0:0:0:0:0:1]:1", "[2001:db8::1]:1", AF_INET6, false},
        {"[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80", AF_INET6, false},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", AF_INET6, false},
        {"unix:/run/x.sock", "unix:/run/x.sock", AF_UNIX, false},
        {"unix:/with:colon", "unix:/with:colon", AF_UNIX, false},
        {"unix:" LONG_PATH_107, "unix:" LONG_PATH_107, AF_UNIX, false},
        {"socket:web", "socket:web", AF_UNSPEC, false},
        {"socket:cserver.socket", "socket:cserver.socket", AF_UNSPEC, false},
        {"socket:80", "socket:80", AF_UNSPEC, false},
        {"socket:" LONG_PATH_107, "socket:" LONG_PATH_107, AF_UNSPEC, false},
    };
    assert_int_equal(strlen(LONG_PATH_107), 107);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sock_addr a, again;
        const char *error = NULL;
        char text[SOCK_TEXT_MAX];
        if (!sock_addr_parse(str_of(table[i].text), &a, &error))
            fail_msg("row \"%s\": %s", table[i].text, error);
        size_t n = sock_addr_text(&a, text);
        if (strcmp(text, table[i].want) != 0 || n != strlen(text) ||
            a.u.sa.sa_family != table[i].family || a.both != table[i].both)
            fail_msg("row \"%s\": %s", table[i].text, text);
        assert_true(sock_addr_parse(str_of(text), &again, &error));
        assert_true(sock_addr_same(&a, &again));
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_bad_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part; /* part of the sentence */
    } table[] = {
        {"", "port"},
        {"8080", "colon"},
        {"127.0.0.1", "colon"},
        {"127.0.0.1:", "number from 0 to 65535"},
        {":", "number from 0 to 65535"},
        {":65536", "number from 0 to 65535"},
        {":-1", "number from 0 to 65535"},
        {":80 ", "number from 0 to 65535"},
        {": 80", "number from 0 to 65535"},
        {":http", "number from 0 to 65535"},
        {"localhost:80", "names are not looked up"},
        {"127.0.0:80", "names are not looked up"},
        {"127.0.0.256:80", "names are not looked up"},
        {"127.0.0.1.1:80", "names are not looked up"},
        {"127.0.0.01:80", "names are not looked up"},
        {" 127.0.0.1:80", "names are not looked up"},
        {"127.0.0.1/8:80", "names are not looked up"},
        {"**:80", "names are not looked up"},
        {"a.very.long.name.that.is.longer.than.any.address.would.be:80", "names are not looked up"},
        {"::1:80", "brackets"},
        {":::80", "brackets"},
        {"[::1]", "number from 0 to 65535"},
        {"[::1:80", "brackets"},
        {"[::1]x:80", "brackets"},
        {"[:80", "brackets"},
        {"[]:80", "no IPv6 address"},
        {"[1.2.3.4]:80", "no IPv6 address"},
        {"[::1::2]:80", "no IPv6 address"},
        {"[fe80::1%lo]:80", "zones"},
        {"[12345::]:80", "no IPv6 address"},
        {"unix:", "slash"},
        {"unix:run/x.sock", "slash"},
        {"unix:" LONG_PATH_107 "8", "107 bytes"},
        {"socket:", "name of a socket"},
        {"socket:a:b", "no colons"},
        {"socket:a\tb", "ASCII only"},
        {"socket:b\xc3\xbc", "ASCII only"},
        {"socket:" LONG_PATH_107 "8", "107 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sock_addr a;
        const char *error = NULL;
        if (sock_addr_parse(str_of(table[i].text), &a, &error))
            fail_msg("row \"%s\" was taken", table[i].text);
        if (!strstr(error, table[i].part))
            fail_msg("row \"%s\": %s", table[i].text, error);
    }
    struct sock_addr a;
    const char *error;
    assert_false(sock_addr_parse((cs_str){"unix:/a\0b", 9}, &a, &error));
    assert_false(sock_addr_parse((cs_str){"1.2.3.4\0:80", 11}, &a, &error));
    assert_false(sock_addr_parse((cs_str){NULL, 0}, &a, &error));
    printf("rows: %zu\n", ARRAY_LEN(table) + 3);
}

static void test_same(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool want;
    } table[] = {
        {":80", "*:80", true},           {":80", ":81", false},
        {":80", "[::]:80", false},       {":80", "0.0.0.0:80", false},
        {"[::1]:80", "[0::1]:80", true}, {"127.0.0.1:80", "127.0.0.2:80", false},
        {"unix:/a", "unix:/a", true},    {"unix:/a", "unix:/ab", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct sock_addr a, b;
        const char *error;
        assert_true(sock_addr_parse(str_of(table[i].a), &a, &error));
        assert_true(sock_addr_parse(str_of(table[i].b), &b, &error));
        if (sock_addr_same(&a, &b) != table[i].want)
            fail_msg("row %s and %s", table[i].a, table[i].b);
    }
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_narrow(void **state)
{
    (void)state;
    struct sock_addr a, narrow;
    const char *error;
    char text[SOCK_TEXT_MAX];
    assert_true(sock_addr_parse(CS_S(":8080"), &a, &error));
    narrow = sock_addr_narrow(&a);
    sock_addr_text(&narrow, text);
    assert_string_equal(text, "0.0.0.0:8080");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_addresses),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
