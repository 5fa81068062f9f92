/* access_line_test.c - both forms, byte for byte; escaping at every place of a text and of its blocks. */
#include "serve/access_line.h"

#include "base/check.h"
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WALL_US 1795298712000042u /* 2026-11-21T22:05:12.000042Z */

static int use_utc(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

static struct access_facts facts(void)
{
    return (struct access_facts){.wall_us = WALL_US,
                                 .client = CS_S("10.1.2.3"),
                                 .status = 200,
                                 .bytes_out = 14,
                                 .request_line = CS_S("GET /a?b=c HTTP/1.1"),
                                 .id = 0x00c0ffee00000001,
                                 .dur_us = 77,
                                 .method = CS_S("GET"),
                                 .host = CS_S("example.com"),
                                 .path = CS_S("/a"),
                                 .query = CS_S("b=c")};
}

static cs_str place(struct access_place p)
{
    static struct buf text;
    buf_clear(&text);
    access_line_place(&text, &p);
    return buf_str(&text);
}

static void expect(const char *label, const struct buf *b, const char *want)
{
    if (!str_is(buf_str(b), want))
        fail_msg("row \"%s\":\n%s%s", label, b->p, want);
}

static void test_combined(void **state)
{
    (void)state;
    struct access_clock clock = {0};
    struct buf b = {0};
    struct access_facts f = facts();
    access_line_combined(&b, &f, &clock);
    expect(
        "plain", &b,
        "10.1.2.3 - - [21/Nov/2026:22:05:12 +0000] \"GET /a?b=c HTTP/1.1\" 200 14 \"-\" \"-\"\n");
    buf_clear(&b);
    f.user = CS_S("me\" x");
    f.referer = CS_S("http://r/\x7f");
    f.agent = CS_S("a\\b\n\x80");
    f.request_line = (cs_str){0};
    f.status = 499;
    f.bytes_out = UINT64_MAX;
    f.wall_us += 1000000;
    access_line_combined(&b, &f, &clock);
    expect("escaped", &b,
           "10.1.2.3 - me\\x22 x [21/Nov/2026:22:05:13 +0000] \"-\" 499 18446744073709551615 "
           "\"http://r/\\x7F\" \"a\\x5Cb\\x0A\\x80\"\n");
    buf_free(&b);
    printf("rows: 2\n");
}

static void test_json(void **state)
{
    (void)state;
    struct access_clock clock = {0};
    struct buf b = {0};
    struct access_facts f = facts();
    f.place = place((struct access_place){.worker = 3, .generation = 4000000000});
    access_line_json(&b, &f, &clock);
    expect(
        "plain", &b,
        "{\"ts\":\"2026-11-21T22:05:12.000042Z\",\"request_id\":\"00c0ffee00000001\","
        "\"client\":\"10.1.2.3\",\"user\":\"\",\"method\":\"GET\",\"host\":\"example.com\","
        "\"path\":\"/a\",\"query\":\"b=c\",\"proto\":\"HTTP/1.1\",\"status\":200,\"bytes_in\":0,"
        "\"bytes_out\":14,\"dur_us\":77,\"site\":\"\",\"route\":\"\",\"module\":null,\"worker\":3,"
        "\"generation\":4000000000,\"referer\":\"\",\"ua\":\"\"}\n");
    buf_clear(&b);
    f = (struct access_facts){.client = CS_S("unix:"),
                              .status = 400,
                              .http10 = true,
                              .wall_us = 999999,
                              .place = place((struct access_place){
                                  .site = CS_S("s\n"), .route = CS_S("r"), .module = CS_S("m")}),
                              .referer = CS_S("\"\\\n"),
                              .agent = CS_S("\xff\xc3\xa4\x01")};
    access_line_json(&b, &f, &clock);
    expect("odd", &b,
           "{\"ts\":\"1970-01-01T00:00:00.999999Z\",\"request_id\":\"0000000000000000\","
           "\"client\":\"unix:\",\"user\":\"\",\"method\":\"\",\"host\":\"\",\"path\":\"\","
           "\"query\":\"\","
           "\"proto\":\"HTTP/1.0\",\"status\":400,\"bytes_in\":0,\"bytes_out\":0,\"dur_us\":0,"
           "\"site\":\"s\\n\",\"route\":\"r\",\"module\":\"m\",\"worker\":0,\"generation\":0,"
           "\"referer\":\"\\\"\\\\\\n\",\"ua\":\"\xef\xbf\xbd\xc3\xa4\\u0001\"}\n");
    buf_free(&b);
    printf("rows: 2\n");
}

/* The value of the last field, which is the agent: without the quotes around it. */
static cs_str agent_of(const struct buf *b, size_t behind)
{
    const char *end = b->p + b->n - behind, *start;
    for (start = end; start[-1] != '"' || start[-2] == '\\'; start--)
        ;
    return (cs_str){start, (size_t)(end - start)};
}

static void add_hex(struct buf *out, cs_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = c >= 32 && c < 127 && c != '"' && c != '\\';
        buf_printf(out, plain ? "%c" : "\\x%02X", c);
    }
}

/* A text of each length up to four blocks, exactly as long as its memory, with one odd character at each place. */
static void test_every_place(void **state)
{
    (void)state;
    static const char *const odd[] = {"x", "\"", "\x1f", "\x7f", "\xff", "\xf0\x9f\x98\x80"};
    struct access_clock clock = {0};
    struct buf b = {0}, want = {0};
    size_t rows = 0;
    for (size_t n = 1; n <= 64; n++)
        for (size_t k = 0; k < n * ARRAY_LEN(odd); k++) {
            const char *c = odd[k % ARRAY_LEN(odd)];
            size_t at = k / ARRAY_LEN(odd), len = strlen(c);
            char *text = malloc(n);
            struct access_facts f = {.client = CS_S("c")};
            memset(text, '.', n);
            memcpy(text + at, c, len < n - at ? len : n - at);
            f.agent = (cs_str){text, n};
            buf_clear(&b);
            buf_clear(&want);
            access_line_combined(&b, &f, &clock);
            add_hex(&want, f.agent);
            if (!str_eq(agent_of(&b, 2), buf_str(&want)))
                fail_msg("combined, length %zu, %s at %zu: %s", n, c, at, b.p);
            buf_clear(&b);
            buf_clear(&want);
            access_line_json(&b, &f, &clock);
            json_escape(&want, f.agent);
            if (!str_eq(agent_of(&b, 3), buf_str(&want)))
                fail_msg("json, length %zu, %s at %zu: %s", n, c, at, b.p);
            free(text);
            rows++;
        }
    buf_free(&b);
    buf_free(&want);
    printf("rows: %zu\n", rows);
}

/* The longest there can be: every byte takes six. Under a sanitizer this is what shows whether there is room. */
static void test_room(void **state)
{
    (void)state;
    static char text[40000];
    struct access_clock clock = {0};
    struct access_facts f = facts();
    cs_str all = {text, sizeof text};
    memset(text, 1, sizeof text);
    f.client = f.user = f.referer = f.agent = f.request_line = all;
    f.method = f.host = f.path = f.query = all;
    f.place = place((struct access_place){all, all, all, INT32_MIN, UINT32_MAX});
    f.bytes_in = f.bytes_out = f.dur_us = f.id = UINT64_MAX;
    f.status = INT32_MIN;
    struct buf b = {0}, c = {0};
    access_line_json(&b, &f, &clock);
    assert_true(b.n > 11 * 6 * sizeof text && b.n < b.cap);
    access_line_combined(&c, &f, &clock);
    assert_true(c.n > 5 * 4 * sizeof text && c.n < c.cap);
    buf_free(&b);
    buf_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_combined),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_every_place),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, use_utc, NULL);
}
