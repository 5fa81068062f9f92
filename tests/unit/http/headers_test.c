/* Field names by number, any case. */
#include "http/headers.h"

#include "edge.h"

static const struct {
    const char *name;
    enum http_field field;
} rows[] = {
    {"host", HTTP_FIELD_HOST},
    {"connection", HTTP_FIELD_CONNECTION},
    {"content-length", HTTP_FIELD_CONTENT_LENGTH},
    {"transfer-encoding", HTTP_FIELD_TRANSFER_ENCODING},
    {"expect", HTTP_FIELD_EXPECT},
    {"if-match", HTTP_FIELD_IF_MATCH},
    {"if-none-match", HTTP_FIELD_IF_NONE_MATCH},
    {"if-modified-since", HTTP_FIELD_IF_MODIFIED_SINCE},
    {"if-unmodified-since", HTTP_FIELD_IF_UNMODIFIED_SINCE},
    {"if-range", HTTP_FIELD_IF_RANGE},
    {"range", HTTP_FIELD_RANGE},
    {"referer", HTTP_FIELD_REFERER},
    {"user-agent", HTTP_FIELD_USER_AGENT},
};

static void expect_field(struct edge *page, cs_str name, enum http_field want)
{
    if (http_field_of(edge_put(page, name)) != want)
        fail_msg("field \"%.*s\"", CS_F(name));
}

/* As it is, in capitals, and with one byte changed, missing or too many. */
static void fields(void **state)
{
    (void)state;
    struct edge page = edge_open(4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[32];
        size_t n = strlen(rows[i].name);
        memcpy(name, rows[i].name, n + 1);
        expect_field(&page, (cs_str){name, n}, rows[i].field);
        expect_field(&page, (cs_str){name, n - 1}, HTTP_FIELD_OTHER);
        expect_field(&page, (cs_str){name + 1, n - 1}, HTTP_FIELD_OTHER);
        for (size_t k = 0; k < n; k++) {
            for (int c = 0; c < 256; c++) {
                bool same = str_lower_char((char)c) == rows[i].name[k];
                name[k] = (char)c;
                expect_field(&page, (cs_str){name, n}, same ? rows[i].field : HTTP_FIELD_OTHER);
            }
            name[k] = rows[i].name[k];
        }
        name[n] = 's';
        expect_field(&page, (cs_str){name, n + 1}, HTTP_FIELD_OTHER);
    }
    expect_field(&page, CS_S(""), HTTP_FIELD_OTHER);
    edge_close(&page);
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
