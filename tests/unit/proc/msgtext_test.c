/* msgtext_test.c - any bytes through JSON and back; words for senders and receivers. */
#include "proc/msgtext.h"

#include "base/check.h"
#include "ipc/ring.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void put(struct buf *out, cs_str bytes)
{
    struct json j;

    buf_clear(out);
    json_init(&j, out);
    json_object(&j, NULL);
    json_int(&j, "n", 1);
    msgtext_put_data(&j, "data", bytes);
    json_bool(&j, "last", true);
    json_end_object(&j);
}

static void test_put(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        cs_str bytes;
        const char *want;
    } table[] = {
        {"text", {"on", 2}, "\"on\""},
        {"empty", {"", 0}, "\"\""},
        {"line end", {"a\n", 2}, "\"a\\n\""},
        {"NUL is UTF-8 too", {"\0", 1}, "\"\\u0000\""},
        {"UTF-8", {"\xc3\xa4", 2}, "\"\xc3\xa4\""},
        {"looks like the other form",
         {"{\"base64\":\"Zg==\"}", 17},
         "\"{\\\"base64\\\":\\\"Zg==\\\"}\""},
        {"bytes", {"\xff\xfe", 2}, "{\"base64\":\"//4=\"}"},
        {"UTF-8 and a byte", {"a\xc3", 2}, "{\"base64\":\"YcM=\"}"},
    };
    struct buf b = {0}, back = {0}, want = {0};

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        buf_clear(&want);
        buf_printf(&want, "{\"n\":1,\"data\":%s,\"last\":true}", table[i].want);
        put(&b, table[i].bytes);
        if (strcmp(b.p, want.p) != 0)
            fail_msg("row \"%s\": %s", table[i].label, b.p);
        buf_clear(&back);
        if (!msgtext_take_data(buf_str(&b), "data", &back) ||
            !str_eq(buf_str(&back), table[i].bytes))
            fail_msg("row \"%s\", back: %.*s", table[i].label, (int)back.n, back.p);
    }
    buf_free(&b);
    buf_free(&back);
    buf_free(&want);
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *label, *object;
    } table[] = {
        {"nothing", ""},
        {"no object", "data"},
        {"another key", "{\"date\":\"x\"}"},
        {"number", "{\"data\":1}"},
        {"true", "{\"data\":true}"},
        {"null", "{\"data\":null}"},
        {"array", "{\"data\":[\"x\"]}"},
        {"object without it", "{\"data\":{}}"},
        {"object with another", "{\"data\":{\"base32\":\"AA\"}}"},
        {"no base64", "{\"data\":{\"base64\":\"Zg=\"}}"},
        {"base64 that is no string", "{\"data\":{\"base64\":1234}}"},
        {"base64 with escapes", "{\"data\":{\"base64\":\"Zg=\\u003d\"}}"},
        {"wrong escape", "{\"data\":\"\\x41\"}"},
        {"half a pair", "{\"data\":\"\\ud800\"}"},
        {"a byte that is no UTF-8", "{\"data\":\"\xff\"}"},
        {"cut off", "{\"data\":\"abc"},
    };
    struct buf b = {0};

    buf_add_z(&b, "before");
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (msgtext_take_data(str_of(table[i].object), "data", &b) || strcmp(b.p, "before") != 0)
            fail_msg("row \"%s\" was taken: %s", table[i].label, b.p);
    buf_free(&b);
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void test_all_bytes(void **state)
{
    (void)state;
    struct buf all = {0}, b = {0}, back = {0};

    for (unsigned i = 0; i < 65536; i++)
        buf_add_char(&all, (char)(i ^ i >> 8));
    put(&b, buf_str(&all));
    assert_true(b.n < 98303 - 200); /* a request has room for it */
    assert_true(msgtext_take_data(buf_str(&b), "data", &back));
    assert_true(str_eq(buf_str(&all), buf_str(&back)));
    buf_free(&all);
    buf_free(&b);
    buf_free(&back);
}

static void test_whom(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int to; /* 0: refused */
    } table[] = {
        {"all", MAIL_ALL},
        {"workers", MAIL_WORKERS},
        {"primary", MAIL_PRIMARY},
        {"worker:1", IPC_SLOT_WORKERS},
        {"worker:12", IPC_SLOT_WORKERS + 11},
        {"worker:9999", IPC_SLOT_WORKERS + 9998},
        {"worker:10000", 0},
        {"worker:0", 0},
        {"worker:", 0},
        {"worker:-1", 0},
        {"worker: 1", 0},
        {"worker:1x", 0},
        {"worker", 0},
        {"worker:99999999999999999999", 0},
        {"others", 0},
        {"command", 0},
        {"ALL", 0},
        {"", 0},
    };
    char name[MSGTEXT_NAME];

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        int to = 0;
        bool good = msgtext_target(str_of(table[i].text), &to);

        if (good != (table[i].to != 0) || to != table[i].to)
            fail_msg("row \"%s\": %d", table[i].text, to);
        if (good) {
            msgtext_name(to, name);
            assert_string_equal(name, table[i].text);
        }
    }
    msgtext_name(IPC_SLOT_MASTER, name);
    assert_string_equal(name, "command");
    msgtext_name(IPC_SLOT_PRIMARY_A, name);
    assert_string_equal(name, "primary");
    msgtext_name(MAIL_OTHERS, name);
    assert_string_equal(name, "others");
    msgtext_name(INT16_MAX, name);
    assert_string_equal(name, "worker:32764");
    printf("rows: %zu\n", ARRAY_LEN(table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_all_bytes),
        cmocka_unit_test(test_whom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
