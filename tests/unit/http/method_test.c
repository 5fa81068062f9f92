/* Methods by name; case matters. */
#include "http/method.h"

#include "edge.h"

static void methods(void **state)
{
    (void)state;
    static const struct {
        const char *token;
        enum http_method method;
    } rows[] = {
        {"GET", HTTP_GET},         {"HEAD", HTTP_HEAD},      {"POST", HTTP_POST},
        {"PUT", HTTP_PUT},         {"DELETE", HTTP_DELETE},  {"CONNECT", HTTP_CONNECT},
        {"OPTIONS", HTTP_OPTIONS}, {"TRACE", HTTP_TRACE},    {"PATCH", HTTP_PATCH},
        {"get", HTTP_OTHER},       {"Get", HTTP_OTHER},      {"GE", HTTP_OTHER},
        {"GETS", HTTP_OTHER},      {"HEAR", HTTP_OTHER},     {"PRI", HTTP_OTHER},
        {"POSTS", HTTP_OTHER},     {"DELETES", HTTP_OTHER},  {"OPTION", HTTP_OTHER},
        {"OPTIONZ", HTTP_OTHER},   {"PROPFIND", HTTP_OTHER}, {"", HTTP_OTHER},
        {"TRACK", HTTP_OTHER},     {"patch", HTTP_OTHER},    {"X", HTTP_OTHER},
    };
    struct edge page = edge_open(4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (http_method_of(edge_put(&page, str_of(rows[i].token))) != rows[i].method)
            fail_msg("method \"%s\"", rows[i].token);
    edge_close(&page);
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(methods)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
