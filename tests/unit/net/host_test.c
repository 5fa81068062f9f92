/* host_test.c - what is an address, what is a name, and what is neither. */
#include "net/host.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_addresses(void **state)
{
    static const struct {
        const char *text, *means; /* NULL: none */
    } rows[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"[::1]", "::1"},
        {"2001:DB8::A", "2001:db8::a"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888"},
        {"", NULL},
        {"127.1", NULL},
        {"2130706433", NULL},
        {"0x7f.0.0.1", NULL},
        {"127.0.0.01", NULL},
        {"127.0.0.256", NULL},
        {"127.0.0.1.", NULL},
        {" 127.0.0.1", NULL},
        {"[127.0.0.1]", NULL},
        {"127.0.0.1:80", NULL},
        {"[::1]:80", NULL},
        {"[::1", NULL},
        {"::1]", NULL},
        {"[]", NULL},
        {":", NULL},
        {"fe80::1%eth0", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"host1", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[INET6_ADDRSTRLEN];
        union host_addr a;
        bool is = host_addr_parse(str_of(rows[i].text), &a);
        if (is != (rows[i].means != NULL))
            fail_msg("\"%s\" is taken for %s", rows[i].text, is ? "an address" : "none");
        if (!is)
            continue;
        const void *from =
            a.any.sa_family == AF_INET ? (void *)&a.v4.sin_addr : (void *)&a.v6.sin6_addr;
        assert_string_equal(inet_ntop(a.any.sa_family, from, text, sizeof text), rows[i].means);
    }
}

static void test_port(void **state)
{
    struct sockaddr_storage to;
    union host_addr a;
    (void)state;
    assert_true(host_addr_parse(CS_S("192.0.2.1"), &a));
    assert_int_equal(host_addr_put(&a, 8080, &to), sizeof(struct sockaddr_in));
    assert_int_equal(((struct sockaddr_in *)(void *)&to)->sin_port, htons(8080));
    assert_int_equal(a.v4.sin_port, 0);
    assert_true(host_addr_parse(CS_S("::1"), &a));
    assert_int_equal(host_addr_put(&a, 65535, &to), sizeof(struct sockaddr_in6));
    assert_int_equal(((struct sockaddr_in6 *)(void *)&to)->sin6_port, htons(65535));
}

static void test_names(void **state)
{
    static const struct {
        const char *text, *name; /* NULL: none */
    } rows[] = {
        {"a", "a"},
        {"Example.COM", "example.com"},
        {"example.com.", "example.com."},
        {"_srv.a-b.9", "_srv.a-b.9"},
        {"", NULL},
        {".", NULL},
        {"a..b", NULL},
        {"a..", NULL},
        {".a", NULL},
        {"a b", NULL},
        {"a@b", NULL},
        {"a[b", NULL},
        {"a`b", NULL},
        {"a{b", NULL},
        {"a\\b", NULL},
        {"a\tb", NULL},
        {"\xc3\xa4.test", NULL},
    };
    char name[HOST_ROOM];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = host_name_put(str_of(rows[i].text), name);
        if (n != (rows[i].name ? strlen(rows[i].name) : 0))
            fail_msg("\"%s\" has length %zu", rows[i].text, n);
        if (n)
            assert_string_equal(name, rows[i].name);
    }
    assert_int_equal(host_name_put((cs_str){"a\0b", 3}, name), 0);
}

static void test_longest(void **state)
{
    char text[300], name[HOST_ROOM];
    (void)state;
    memset(text, 'a', sizeof text);
    assert_int_equal(host_name_put((cs_str){text, 253}, name), 253);
    assert_int_equal(host_name_put((cs_str){text, 254}, name), 0);
    assert_int_equal(host_name_put((cs_str){text, sizeof text}, name), 0);
    text[253] = '.';
    assert_int_equal(host_name_put((cs_str){text, 254}, name), 254);
    text[254] = '.';
    assert_int_equal(host_name_put((cs_str){text, 255}, name), 0);
}

/* Ends of sentences: no capital, no full stop. */
static void test_errors(void **state)
{
    (void)state;
    for (int e = HOST_FOUND; e <= HOST_BUSY; e++) {
        const char *text = host_error_text((enum host_error)e);
        assert_true(text[0] >= 'a' && text[0] <= 'z');
        assert_true(text[strlen(text) - 1] != '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_port),
        cmocka_unit_test(test_names),     cmocka_unit_test(test_longest),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
