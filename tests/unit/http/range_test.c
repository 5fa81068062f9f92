/* Range fields against a representation of 1000 bytes, unless the row says otherwise. */
#include "http/range.h"

#include "edge.h"

#define MAX 4

struct row {
    const char *value;
    const char *answer; /* "first-last ...", "whole" or "416" */
    uint64_t size;
};

static const struct row rows[] = {
    {"bytes=0-499", "0-499", 1000},
    {"bytes=500-999", "500-999", 1000},
    {"bytes=0-0", "0-0", 1000},
    {"bytes=999-", "999-999", 1000},
    {"bytes=0-", "0-999", 1000},
    {"bytes=0-999", "0-999", 1000},
    {"bytes=0-1000", "0-999", 1000},
    {"bytes=1-99999999999999999999999", "1-999", 1000},
    {"bytes=1-18446744073709551615", "1-999", 1000},
    {"bytes=1-18446744073709551616", "1-999", 1000},
    {"bytes=-1", "999-999", 1000},
    {"bytes=-500", "500-999", 1000},
    {"bytes=-1000", "0-999", 1000},
    {"bytes=-1001", "0-999", 1000},
    {"bytes=-99999999999999999999999", "0-999", 1000},
    {"bytes=00001-0002", "1-2", 1000},
    {"BYTES=0-1", "0-1", 1000},
    {"Bytes= 0-1 ", "0-1", 1000},
    {"bytes=0-1,", "0-1", 1000},
    {"bytes=,0-1", "0-1", 1000},
    {"bytes=0-1, 4-5", "0-1 4-5", 1000},
    {"bytes=0-1,\t,4-5", "0-1 4-5", 1000},
    {"bytes=4-5,0-1", "4-5 0-1", 1000},
    {"bytes=0-1,3-4,6-7,9-10", "0-1 3-4 6-7 9-10", 1000},
    {"bytes=0-1,2-3", "0-3", 1000},
    {"bytes=2-3,0-1", "0-3", 1000},
    {"bytes=0-10,5-20", "0-20", 1000},
    {"bytes=5-20,0-10", "0-20", 1000},
    {"bytes=0-20,5-10", "0-20", 1000},
    {"bytes=5-10,0-20", "0-20", 1000},
    {"bytes=0-1,0-1,0-1", "0-1", 1000},
    {"bytes=0-10,-5", "0-10 995-999", 1000},
    {"bytes=0-1,2000-3000", "0-1", 1000},
    {"bytes=2000-,5-6", "5-6", 1000},
    {"bytes=-0,5-6", "5-6", 1000},
    {"bytes=1000-", "416", 1000},
    {"bytes=1000-2000", "416", 1000},
    {"bytes=1000-,2000-", "416", 1000},
    {"bytes=-0", "416", 1000},
    {"bytes=99999999999999999999999-", "416", 1000},
    {"bytes=0-", "416", 0},
    {"bytes=0-0", "416", 0},
    {"bytes=-0", "416", 0},
    {"bytes=-1", "whole", 0},
    {"bytes=0-", "0-0", 1},
    {"bytes=-1", "0-0", 1},
    {"bytes=1-", "416", 1},
    {"bytes=0-18446744073709551614", "0-18446744073709551614", UINT64_MAX},
    {"bytes=18446744073709551614-", "18446744073709551614-18446744073709551614", UINT64_MAX},
    {"bytes=0-499,500-999", "whole", 1000},
    {"bytes=0-,0-", "whole", 1000},
    {"bytes=0-600,700-800,0-600", "0-600 700-800", 1000},
    {"bytes=0-10,100-110,5-20", "0-20 100-110", 1000},
    {"bytes=0-10,100-110,11-99", "0-110", 1000},
    {"bytes=100-110,0-10,5-105", "0-110", 1000},
    {"bytes=50-60,0-10,20-30,5-25", "50-60 0-30", 1000},
    {"bytes=0-1,10-11,20-21,0-30", "0-30", 1000},
    {"bytes=0-1,10-11,20-21,-990", "0-1 10-999", 1000},
    {"bytes=0-998,999-", "whole", 1000},
    {"bytes=0-1,2-3,4-5,6-7,8-9", "whole", 1000},
    {"bytes=0-1,3-4,6-7,9-10,2000-", "whole", 1000},
    {"", "whole", 1000},
    {"bytes", "whole", 1000},
    {"bytes=", "whole", 1000},
    {"bytes=,", "whole", 1000},
    {"bytes=-", "whole", 1000},
    {"bytes=--1", "whole", 1000},
    {"bytes=5", "whole", 1000},
    {"bytes=5-4", "whole", 1000},
    {"bytes=0-1,5-4", "whole", 1000},
    {"bytes=0-1;5-6", "whole", 1000},
    {"bytes=0-1 5-6", "whole", 1000},
    {"bytes=0 - 1", "whole", 1000},
    {"bytes=0-1-2", "whole", 1000},
    {"bytes=a-b", "whole", 1000},
    {"bytes=0x0-0x1", "whole", 1000},
    {"bytes=+0-1", "whole", 1000},
    {"bytes=0-+1", "whole", 1000},
    {"bytes=\"0-1\"", "whole", 1000},
    {"bytes =0-1", "whole", 1000},
    {" bytes=0-1", "whole", 1000},
    {"byte=0-1", "whole", 1000},
    {"octets=0-1", "whole", 1000},
    {"0-1", "whole", 1000},
};

static void describe(const struct http_range *r, int n, char *out, size_t room)
{
    size_t len = 0;
    out[0] = 0;
    for (int i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, room - len, "%s%llu-%llu", i ? " " : "",
                                (unsigned long long)r[i].first, (unsigned long long)r[i].last);
    if (n <= 0)
        snprintf(out, room, n == 0 ? "whole" : "%d", -n);
}

static void ranges(void **state)
{
    (void)state;
    struct edge page = edge_open(4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_range out[MAX];
        char got[256];
        int n = http_range_parse(edge_put(&page, str_of(rows[i].value)), rows[i].size, out, MAX);
        describe(out, n, got, sizeof got);
        expect_text(rows[i].value, "ranges", got, rows[i].answer);
    }
    edge_close(&page);
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
