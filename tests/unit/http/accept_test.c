/* Weights of words in lists such as that of Accept-Encoding. */
#include "http/accept.h"

#include "edge.h"

static const struct {
    const char *list;
    const char *word;
    int weight;
} rows[] = {
    {"gzip", "gzip", 1000},
    {"GZip", "gzip", 1000},
    {"x-gzip", "gzip", 1000},
    {"gzip", "br", -1},
    {"", "gzip", -1},
    {" , ,", "gzip", -1},
    {"gzip, br", "br", 1000},
    {"gzip;q=0.5, br", "gzip", 500},
    {"gzip ; q=0.5", "gzip", 500},
    {"gzip;Q=0.5", "gzip", 500},
    {"gzip;q=0", "gzip", 0},
    {"gzip;q=0.000", "gzip", 0},
    {"gzip;q=0.", "gzip", 0},
    {"gzip;q=1.", "gzip", 1000},
    {"gzip;q=1.000", "gzip", 1000},
    {"gzip;q=0.001", "gzip", 1},
    {"gzip;q=0.999", "gzip", 999},
    {"gzip;q=1.001", "gzip", -1},
    {"gzip;q=2", "gzip", -1},
    {"gzip;q=-1", "gzip", -1},
    {"gzip;q=0.1234", "gzip", -1},
    {"gzip;q=.5", "gzip", -1},
    {"gzip;q=", "gzip", -1},
    {"gzip;q", "gzip", -1},
    {"gzip;", "gzip", -1},
    {"gzip;q=0.5;x=1", "gzip", -1},
    {"gzip;x=1", "gzip", -1},
    {"gzip;q=0,5", "gzip", 0},
    {"gzip q=1", "gzip", -1},
    {"\"gzip\"", "gzip", -1},
    {"*", "br", 1000},
    {"*;q=0.3", "br", 300},
    {"*;q=0", "identity", 0},
    {"*, br;q=0", "br", 0},
    {"br;q=0, *", "br", 0},
    {"br;q=0.2, br;q=0.9", "br", 200},
    {"*;q=0.2, *;q=0.9", "br", 200},
    {"identity;q=0", "identity", 0},
    {"identity;q=0.5, *;q=0", "identity", 500},
    {"gzip, identity;q=0", "gzip", 1000},
    {"brr, xbr, br-x", "br", -1},
};

static void weights(void **state)
{
    (void)state;
    struct edge page = edge_open(256);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_accept a = HTTP_ACCEPT_NONE;
        http_accept_read(edge_put(&page, str_of(rows[i].list)), str_of(rows[i].word), &a);
        if (http_accept_weight(&a) != rows[i].weight)
            fail_msg("%s in \"%s\": %d, expected %d", rows[i].word, rows[i].list,
                     http_accept_weight(&a), rows[i].weight);
    }
    edge_close(&page);
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

static void several_fields(void **state)
{
    (void)state;
    struct http_accept a = HTTP_ACCEPT_NONE;
    http_accept_read(CS_S("*;q=0.1"), CS_S("br"), &a);
    http_accept_read(CS_S("gzip, br;q=0.7"), CS_S("br"), &a);
    http_accept_read(CS_S("br;q=0, *;q=0"), CS_S("br"), &a);
    assert_int_equal(http_accept_weight(&a), 700);
    assert_int_equal(a.rest, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights),
        cmocka_unit_test(several_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
