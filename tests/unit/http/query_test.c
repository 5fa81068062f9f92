/* Values by name in queries and cookies. The text of a row ends where memory does. */
#include "http/query.h"

#include "base/check.h"
#include "edge.h"

struct row {
    const char *label, *text, *name;
    const char *value; /* decoded; NULL: there is none */
};

static const struct row queries[] = {
    {"the only one", "a=1", "a", "1"},
    {"the last of three", "b=2&c=3&a=1", "a", "1"},
    {"the first of two", "a=1&a=2", "a", "1"},
    {"an empty one before a full one", "a=&a=2", "a", ""},
    {"no value", "a", "a", ""},
    {"no value among others", "b=1&a&c=2", "a", ""},
    {"nothing at all", "", "a", NULL},
    {"another name", "b=1", "a", NULL},
    {"a longer name", "ab=1", "a", NULL},
    {"a shorter name", "a=1", "ab", NULL},
    {"case matters", "A=1", "a", NULL},
    {"the name in the value", "b=a=1", "a", NULL},
    {"an equals sign in the value", "a=b=c", "a", "b=c"},
    {"empty pairs", "&&a=1&&", "a", "1"},
    {"a semicolon separates nothing", "b=1;a=2", "a", NULL},
    {"plus is a blank", "a=x+y", "a", "x y"},
    {"an escape", "a=x%20y", "a", "x y"},
    {"escapes in both cases", "a=%c3%A9", "a", "\xc3\xa9"},
    {"an escaped ampersand", "a=x%26b=1", "a", "x&b=1"},
    {"an escaped name", "%61%62=1", "ab", "1"},
    {"a blank in the name", "a+b=1", "a b", "1"},
    {"an escaped equals sign in the name", "a%3Db=1", "a=b", "1"},
    {"a lone percent", "a=%", "a", "%"},
    {"half an escape", "a=%4", "a", "%4"},
    {"an escape that is none", "a=%zz", "a", "%zz"},
    {"half of one is a digit", "a=%4g", "a", "%4g"},
    {"decoded once", "a=%2541", "a", "%41"},
    {"a percent before an escape", "a=%%41", "a", "%A"},
};

static const struct row cookies[] = {
    {"the only one", "a=1", "a", "1"},
    {"the second", "b=2; a=1", "a", "1"},
    {"without a blank", "b=2;a=1", "a", "1"},
    {"the first of two", "a=1; a=2", "a", "1"},
    {"empty", "a=", "a", ""},
    {"no equals sign", "a", "a", ""},
    {"none", "b=1", "a", NULL},
    {"a longer name", "ab=1", "a", NULL},
    {"case matters", "A=1", "a", NULL},
    {"quotes stay", "a=\"x\"", "a", "\"x\""},
    {"nothing is decoded", "a=%41+b", "a", "%41+b"},
    {"an equals sign in the value", "a=b=c", "a", "b=c"},
    {"nothing", "", "a", NULL},
    {"only separators", "; ;;", "a", NULL},
    {"blanks around", "b=1 ;  a=2 ", "a", "2"},
};

static void judge(const char *what, const struct row *row, cs_str value)
{
    bool right = row->value ? value.p && str_is(value, row->value) : !value.p;
    if (!right)
        fail_msg("%s \"%s\": \"%.*s\"%s", what, row->label, CS_F(value), value.p ? "" : " (none)");
}

static void test_queries(void **state)
{
    (void)state;
    struct edge e = edge_open(64);
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        const struct row *row = &queries[i];
        char out[64];
        cs_str value = http_query_find(edge_put(&e, str_of(row->text)), str_of(row->name));
        if (value.p) {
            size_t len = http_query_decode(value, out);
            if (!http_query_is_coded(value) && !str_eq(value, (cs_str){out, len}))
                fail_msg("\"%s\": there is something to decode after all", row->label);
            value = (cs_str){out, len};
        }
        judge("query", row, value);
    }
    edge_close(&e);
    printf("rows: %zu\n", ARRAY_LEN(queries));
}

static void test_cookies(void **state)
{
    (void)state;
    struct edge e = edge_open(64);
    for (size_t i = 0; i < ARRAY_LEN(cookies); i++)
        judge("cookie", &cookies[i],
              http_cookie_find(edge_put(&e, str_of(cookies[i].text)), str_of(cookies[i].name)));
    edge_close(&e);
    printf("rows: %zu\n", ARRAY_LEN(cookies));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_queries),
                                       cmocka_unit_test(test_cookies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
