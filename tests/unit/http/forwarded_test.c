#include "http/forwarded.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
    const char *label, *list;
    const char *each[4]; /* "": an element without address */
};

static const struct row plain[] = {
    {"one", "192.0.2.1", {"192.0.2.1"}},
    {"three", "192.0.2.1, 192.0.2.2,192.0.2.3", {"192.0.2.1", "192.0.2.2", "192.0.2.3"}},
    {"with ports", "192.0.2.1:80, [2001:db8::1]:443", {"192.0.2.1", "2001:db8::1"}},
    {"v6 without brackets", "2001:db8::1", {"2001:db8::1"}},
    {"v6 in brackets", "[2001:db8::1]", {"2001:db8::1"}},
    {"v4 in brackets", "[192.0.2.1]", {""}},
    {"bracket without its end", "[2001:db8::1", {""}},
    {"something behind the bracket", "[2001:db8::1]x", {""}},
    {"unknown", "unknown, 192.0.2.1", {"", "192.0.2.1"}},
    {"empty elements", ",192.0.2.1,", {"", "192.0.2.1", ""}},
    {"a name", "example.com", {""}},
    {"blanks", "  192.0.2.1\t", {"192.0.2.1"}},
};

static const struct row forwarded[] = {
    {"one", "for=192.0.2.1", {"192.0.2.1"}},
    {"quoted, with port", "for=\"[2001:db8::1]:4711\"", {"2001:db8::1"}},
    {"quoted v4 with port", "for=\"192.0.2.1:80\"", {"192.0.2.1"}},
    {"among others", "proto=https;For=192.0.2.1;by=203.0.113.43", {"192.0.2.1"}},
    {"two", "for=192.0.2.1;proto=http, for=192.0.2.2", {"192.0.2.1", "192.0.2.2"}},
    {"a comma in quotes", "for=192.0.2.1;host=\"a,for=192.0.2.9\"", {"192.0.2.1"}},
    {"a semicolon in quotes", "host=\"a;for=192.0.2.9\";for=192.0.2.1", {"192.0.2.1"}},
    {"a quote in quotes", "host=\"a\\\",for=192.0.2.9\";for=192.0.2.1", {"192.0.2.1"}},
    {"hidden", "for=_secret", {""}},
    {"unknown", "for=unknown", {""}},
    {"without for", "proto=https, for=192.0.2.1", {"", "192.0.2.1"}},
    {"a name that ends with for", "xfor=192.0.2.9", {""}},
    {"no value", "for", {""}},
    {"quotes without an end", "for=192.0.2.1, for=\"192.0.2.2", {"192.0.2.1", ""}},
    {"empty", "", {""}},
};

static void run(const struct row *rows, size_t n, bool (*next)(cs_str *rest, cs_str *element))
{
    for (size_t i = 0; i < n; i++) {
        cs_str rest = str_of(rows[i].list), e;
        size_t k = 0;
        for (; next(&rest, &e); k++) {
            struct cidr_addr got, want;
            const char *text = k < 4 ? rows[i].each[k] : NULL;
            bool is = http_xff_addr(e, &got);
            if (!text || is != (*text != '\0'))
                fail_msg("%s: element %zu", rows[i].label, k);
            if (is && (!cidr_addr_parse(str_of(text), &want) || memcmp(&got, &want, sizeof got)))
                fail_msg("%s: element %zu is another address", rows[i].label, k);
        }
        if (k < 4 && rows[i].each[k])
            fail_msg("%s: only %zu elements", rows[i].label, k);
    }
    printf("rows: %zu\n", n);
}

static void test_plain(void **state)
{
    (void)state;
    run(plain, ARRAY_LEN(plain), http_xff_next);
}

static void test_forwarded(void **state)
{
    (void)state;
    run(forwarded, ARRAY_LEN(forwarded), http_forwarded_next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain),
                                       cmocka_unit_test(test_forwarded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
