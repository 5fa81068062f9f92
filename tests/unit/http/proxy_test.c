/* The PROXY header. Every row is also given byte by byte: until the last one more are asked for. */
#include "http/proxy.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4                                                                                         \
    "\xc0\0\2\1"                                                                                   \
    "\xc6\x33\x64\2"                                                                               \
    "\x30\x39"                                                                                     \
    "\0\x50"
#define V6                                                                                         \
    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"                                                        \
    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2"                                                        \
    "\x30\x39"                                                                                     \
    "\0\x50"
#define Z(s)                                                                                       \
    {                                                                                              \
        s, sizeof s - 1                                                                            \
    }

struct row {
    const char *label;
    cs_str in;
    int kind; /* -1: bad */
    const char *client;
};

static const struct row rows[] = {
    {"v4", Z("PROXY TCP4 192.0.2.1 198.51.100.2 12345 80\r\n"), HTTP_PROXY_IP, "192.0.2.1"},
    {"v6", Z("PROXY TCP6 2001:db8::1 2001:db8::2 12345 80\r\n"), HTTP_PROXY_IP, "2001:db8::1"},
    {"unknown", Z("PROXY UNKNOWN\r\n"), HTTP_PROXY_OTHER, NULL},
    {"unknown with more", Z("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), HTTP_PROXY_OTHER, NULL},
    {"no carriage return", Z("PROXY TCP4 192.0.2.1 198.51.100.2 12345 80\n"), -1, NULL},
    {"v6 said, v4 given", Z("PROXY TCP6 192.0.2.1 198.51.100.2 12345 80\r\n"), -1, NULL},
    {"v4 said, v6 given", Z("PROXY TCP4 2001:db8::1 2001:db8::2 12345 80\r\n"), -1, NULL},
    {"port too large", Z("PROXY TCP4 192.0.2.1 198.51.100.2 65536 80\r\n"), -1, NULL},
    {"port with a zero before it", Z("PROXY TCP4 192.0.2.1 198.51.100.2 0123 80\r\n"), -1, NULL},
    {"two blanks", Z("PROXY TCP4  192.0.2.1 198.51.100.2 123 80\r\n"), -1, NULL},
    {"a word too much", Z("PROXY TCP4 192.0.2.1 198.51.100.2 123 80 1\r\n"), -1, NULL},
    {"a word less", Z("PROXY TCP4 192.0.2.1 198.51.100.2 123\r\n"), -1, NULL},
    {"nothing behind", Z("PROXY \r\n"), -1, NULL},
    {"another family", Z("PROXY UDP4 192.0.2.1 198.51.100.2 123 80\r\n"), -1, NULL},
    {"an endless line",
     Z("PROXY UNKNOWN "
       "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
       "123\r\n"),
     -1, NULL},
    {"a request", Z("GET / HTTP/1.1\r\n"), -1, NULL},
    {"lower case", Z("proxy TCP4 192.0.2.1 198.51.100.2 12345 80\r\n"), -1, NULL},
    {"binary v4", Z(SIG "\x21\x11\0\xc" V4), HTTP_PROXY_IP, "192.0.2.1"},
    {"binary v4 with extensions", Z(SIG "\x21\x11\0\x10" V4 "\4\0\1x"), HTTP_PROXY_IP, "192.0.2.1"},
    {"binary v6", Z(SIG "\x21\x21\0\x24" V6), HTTP_PROXY_IP, "2001:db8::1"},
    {"binary local", Z(SIG "\x20\0\0\0"), HTTP_PROXY_LOCAL, NULL},
    {"binary local with addresses", Z(SIG "\x20\x11\0\xc" V4), HTTP_PROXY_LOCAL, NULL},
    {"binary, no family", Z(SIG "\x21\0\0\0"), HTTP_PROXY_OTHER, NULL},
    {"binary, datagrams", Z(SIG "\x21\x12\0\xc" V4), HTTP_PROXY_OTHER, NULL},
    {"binary, too short for v6", Z(SIG "\x21\x21\0\xc" V4), -1, NULL},
    {"binary, too short for v4", Z(SIG "\x21\x11\0\xb\0\0\0\0\0\0\0\0\0\0\0"), -1, NULL},
    {"binary, version 1", Z(SIG "\x11\x11\0\xc" V4), -1, NULL},
    {"binary, command 2", Z(SIG "\x22\x11\0\xc" V4), -1, NULL},
    {"binary, family 4", Z(SIG "\x21\x41\0\xc" V4), -1, NULL},
    {"binary, 521 bytes", Z(SIG "\x21\x11\2\x9"), -1, NULL},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        struct http_proxy got;
        struct cidr_addr want = {0};
        const char *error = NULL;
        long n = http_proxy_parse(r->in, &got, &error);
        if (r->client)
            assert_true(cidr_addr_parse(str_of(r->client), &want));
        if (r->kind < 0 ? n != -1 || !error : n != (long)r->in.n || (int)got.kind != r->kind)
            fail_msg("%s: %ld, kind %d", r->label, n, (int)got.kind);
        if (r->client && (memcmp(&got.client, &want, sizeof want) != 0 ||
                          got.client_port != 12345 || got.server_port != 80))
            fail_msg("%s: another client", r->label);
        for (size_t k = 0; r->kind >= 0 && k < r->in.n; k++)
            if (http_proxy_parse((cs_str){r->in.p, k}, &got, &error) != 0)
                fail_msg("%s: %zu bytes are enough", r->label, k);
    }
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
