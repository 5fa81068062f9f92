/* schema_test.c - each type with its units, ends of its range, and the way back to text. */
#include "conf/schema.h"

#include "base/mem.h"
#include "fake.h"

#include <stdlib.h>

struct all {
    bool flag;
    int64_t number, octal, size, time, word;
    cs_str text, path;
    cs_list list;
};

static const char *const words[] = {"red", "green", "blue", NULL};
static const char *const path_words[] = {"off", "stdout", NULL};

static const cs_directive table[] = {
    CS_BOOL(struct all, flag, "on", 0, "."),
    CS_INTW(struct all, number, "auto", -5, 100, "auto", 0, "."),
    CS_INT(struct all, octal, "0644", 0, 0777, CONF_OCTAL, "."),
    CS_SIZE(struct all, size, "8k", 0, (int64_t)1 << 40, 0, "."),
    CS_MSEC(struct all, time, "1m", 0, 86400000, 0, "."),
    CS_ENUM(struct all, word, "green", words, 0, "."),
    CS_STRING(struct all, text, "hi", 1, 5, 0, "."),
    {"path", CS_T_PATH, 0, CS__OFF(struct all, path, cs_str), "off", 0, 20, path_words, "."},
    CS_LIST(struct all, list, "a, b", 0, 3, 0, "."),
    CS_END};

static const cs_directive *key(const char *name)
{
    return schema_find(table, str_of(name));
}

/* want: the value as schema_format gives it; with "!" before it, words of the error. */
static const struct {
    const char *key, *text, *want;
} rows[] = {
    {"flag", "on", "on"},
    {"flag", "off", "off"},
    {"flag", "yes", "on"},
    {"flag", "no", "off"},
    {"flag", "true", "on"},
    {"flag", "false", "off"},
    {"flag", "On", "on"},
    {"flag", " on ", "on"},
    {"flag", "1", "!it takes on or off"},
    {"flag", "", "!it takes on or off"},

    {"number", "auto", "auto"},
    {"number", "0", "auto"},
    {"number", "7", "7"},
    {"number", "007", "7"},
    {"number", "-5", "-5"},
    {"number", "-6", "!too small; it takes a whole number from -5 to 100, or auto"},
    {"number", "100", "100"},
    {"number", "101", "!too large"},
    {"number", "9223372036854775807", "!too large"},
    {"number", "9223372036854775808", "!too large"},
    {"number", "-9223372036854775809", "!too small"},
    {"number", "Auto", "!not a whole number"},
    {"number", "1.5", "!not a whole number"},
    {"number", "0x10", "!not a whole number"},
    {"number", "+1", "!not a whole number"},
    {"number", "-", "!not a whole number"},
    {"number", "1 0", "!not a whole number"},
    {"number", "1k", "!not a whole number"},

    {"octal", "0660", "0660"},
    {"octal", "660", "0660"},
    {"octal", "0", "00"},
    {"octal", "0777", "0777"},
    {"octal", "1000", "!too large; it takes an octal number from 0 to 0777"},
    {"octal", "0668", "!not an octal number"},
    {"octal", "-1", "!not an octal number"},
    {"octal", "", "!not an octal number"},
    {"octal", "7777777777777777777777777", "!not an octal number"},

    {"size", "0", "0"},
    {"size", "1", "1"},
    {"size", "1023", "1023"},
    {"size", "1024", "1k"},
    {"size", "16k", "16k"},
    {"size", "16K", "16k"},
    {"size", "1536k", "1536k"},
    {"size", "1024k", "1m"},
    {"size", "3m", "3m"},
    {"size", "2g", "2g"},
    {"size", "1t", "1t"},
    {"size", "1024g", "1t"},
    {"size", "1025g", "!too large; it takes a size from 0 to 1t (units k, m, g, t)"},
    {"size", "8388608t", "!too large"},
    {"size", "-1", "!too small"},
    {"size", "k", "!does not start with a number"},
    {"size", "1kb", "!unknown unit"},
    {"size", "1 k", "!unknown unit"},
    {"size", "1p", "!unknown unit"},

    {"time", "0", "0"},
    {"time", "0s", "0"},
    {"time", "1ms", "1ms"},
    {"time", "1000ms", "1s"},
    {"time", "1500ms", "1500ms"},
    {"time", "30s", "30s"},
    {"time", "60s", "1m"},
    {"time", "90s", "90s"},
    {"time", "5m", "5m"},
    {"time", "2h", "2h"},
    {"time", "1d", "1d"},
    {"time", "24h", "1d"},
    {"time", "25h", "!too large; it takes a time from 0 to 1d (units ms, s, m, h, d)"},
    {"time", "106751991168d", "!too large"},
    {"time", "30", "!has no unit, such as 30s"},
    {"time", "30S", "!unknown unit"},
    {"time", "1m30s", "!unknown unit"},
    {"time", "1.5s", "!unknown unit"},
    {"time", "-1s", "!too small"},
    {"time", "s", "!does not start with a number"},
    {"time", "", "!does not start with a number"},

    {"word", "red", "red"},
    {"word", "blue", "blue"},
    {"word", "Red", "!it takes red, green or blue"},
    {"word", "", "!it takes red, green or blue"},

    {"text", "a", "a"},
    {"text", "12345", "12345"},
    {"text", " a ", " a "},
    {"text", "", "!is empty; it takes text of 1 to 5 bytes"},
    {"text", "123456", "!too long"},

    {"path", "/a/b", "/a/b"},
    {"path", "a/b", "/pre/a/b"},
    {"path", "./off", "/pre/./off"},
    {"path", "", ""},
    {"path", "off", "off"},
    {"path", "stdout", "stdout"},
    {"path", "stderr", "!not possible here"},
    {"path", "/123456789012345678", "/123456789012345678"},
    {"path", "/12345678901234567890", "!too long; it takes off, stdout or a path"},
    {"path", "1234567890123456", "!too long"},

    {"list", "", ""},
    {"list", "a", "a"},
    {"list", "a,b", "a, b"},
    {"list", " a ,  b ", "a, b"},
    {"list", "a b, c", "a b, c"},
    {"list", "a\nb", "a, b"},
    {"list", "a,\nb,", "a, b"},
    {"list", "\n\na\n\n", "a"},
    {"list", "\"a, b\", c", "\"a, b\", c"},
    {"list", "\"a\"", "a"},
    {"list", "\"\"", "\"\""},
    {"list", "\" a\"", "\" a\""},
    {"list", "\"a\\\"b\\\\\"", "a\"b\\"},
    {"list", "\"\\\"b\"", "\"\\\"b\""},
    {"list", "a\"b", "a\"b"},
    {"list", "a, b, c", "a, b, c"},
    {"list", "a, b, c, d", "!too long; it takes a list of at most 3 elements"},
    {"list", ",a", "!empty element"},
    {"list", "a,,b", "!empty element"},
    {"list", "\"a", "!not closed"},
    {"list", "\"a\nb\"", "!not closed"},
    {"list", "\"a\" b", "!behind a closing quote"},
};

static void check_back(const char *label, const cs_directive *d, const char *text)
{
    struct all v;
    struct arena a;
    struct buf again = {0}, error = {0};

    memset(&v, 0, sizeof v);
    arena_init(&a, NULL);
    if (schema_parse(d, str_of(text), "/elsewhere", &v, &a, &error) < 0)
        fail_msg("%s \"%s\" does not read back: %s", d->name, label, error.p);
    schema_format(d, &v, &again);
    buf_add_z(&again, "");
    if (strcmp(again.p, text) != 0)
        fail_msg("%s \"%s\" reads back as \"%s\"", d->name, text, again.p);
    buf_free(&again);
    arena_drop(&a);
}

static void check_row(const char *name, const char *text, const char *want)
{
    struct all v;
    struct arena a;
    struct buf got = {0}, error = {0};
    const cs_directive *d = key(name);
    int r;

    memset(&v, 0, sizeof v);
    arena_init(&a, NULL);
    r = schema_parse(d, str_of(text), "/pre", &v, &a, &error);
    if (r == 0)
        schema_format(d, &v, &got);
    buf_add_z(&got, "");
    if ((r < 0) != (want[0] == '!'))
        fail_msg("%s \"%s\": %s", name, text, r < 0 ? error.p : got.p);
    if (r < 0 && !strstr(error.p, want + 1))
        fail_msg("%s \"%s\": no \"%s\" in: %s", name, text, want + 1, error.p);
    if (r == 0 && strcmp(got.p, want) != 0)
        fail_msg("%s \"%s\": got \"%s\"", name, text, got.p);
    if (r == 0)
        check_back(text, d, got.p);
    buf_free(&got);
    buf_free(&error);
    arena_drop(&a);
}

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(rows[i].key, rows[i].text, rows[i].want);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_defaults(void **state)
{
    static const cs_directive empty[] = {CS_INT(struct all, number, NULL, 0, 5, 0, "."),
                                         CS_STRING(struct all, text, NULL, 0, 0, 0, "."),
                                         CS_PATH(struct all, path, NULL, 0, "."),
                                         CS_LIST(struct all, list, NULL, 0, 0, 0, "."), CS_END};
    struct all v;
    struct arena a;
    struct buf error = {0};

    (void)state;
    memset(&v, 0xff, sizeof v);
    arena_init(&a, NULL);
    assert_int_equal(schema_defaults(table, "/pre", &v, &a, &error), 0);
    assert_true(v.flag);
    assert_int_equal(v.number, 0);
    assert_int_equal(v.octal, 0644);
    assert_int_equal(v.size, 8192);
    assert_int_equal(v.time, 60000);
    assert_int_equal(v.word, 1);
    assert_true(str_is(v.text, "hi") && v.text.p[2] == '\0');
    assert_true(str_is(v.path, "off"));
    assert_int_equal(v.list.n, 2);
    assert_true(str_is(v.list.v[1], "b") && v.list.v[1].p[1] == '\0');

    memset(&v, 0xff, sizeof v);
    assert_int_equal(schema_defaults(empty, "/pre", &v, &a, &error), 0);
    assert_int_equal(v.number, 0);
    assert_true(v.text.n == 0 && v.text.p[0] == '\0');
    assert_true(v.path.n == 0 && v.path.p[0] == '\0');
    assert_int_equal(v.list.n, 0);
    arena_drop(&a);
}

/* Every default of the core is a value of its type, and prints as one that reads back. */
static void test_core_tables(void **state)
{
    size_t n = 0;

    (void)state;
    for (const struct conf_kind *k = conf_kinds; k->name; k++) {
        unsigned char *base = mem_alloc(k->size);
        struct arena a;
        struct buf error = {0};

        arena_init(&a, NULL);
        if (schema_defaults(k->table, "/pre", base, &a, &error) < 0)
            fail_msg("[%s]: %s", k->name, error.p);
        for (const cs_directive *d = k->table; d->type != CS_T_END; d++, n++) {
            struct buf text = {0};

            buf_add_z(&text, "");
            schema_format(d, base, &text);
            if (!(d->flags & CS_REQUIRED) &&
                schema_parse(d, buf_str(&text), "/pre", base, &a, &error) < 0)
                fail_msg("[%s] %s = %s: %s", k->name, d->name, text.p, error.p);
            if (!d->help || d->help[strlen(d->help) - 1] != '.')
                fail_msg("[%s] %s has no help sentence", k->name, d->name);
            buf_free(&text);
        }
        arena_drop(&a);
        free(base);
    }
    printf("rows: %zu\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_core_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
