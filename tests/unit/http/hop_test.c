/* Which fields end at a gateway. */
#include "http/hop.h"

#include "edge.h"

#include "base/check.h"

struct row {
    const char *label, *name;
    const char *connection; /* values of Connection, one a line */
    bool hop;
};

static const struct row rows[] = {
    {"Connection", "Connection", "", true},
    {"any case", "cOnNeCtIoN", "", true},
    {"Keep-Alive", "Keep-Alive", "", true},
    {"Proxy-Connection", "Proxy-Connection", "", true},
    {"TE", "te", "", true},
    {"Trailer", "Trailer", "", true},
    {"Transfer-Encoding", "Transfer-Encoding", "", true},
    {"Upgrade", "Upgrade", "", true},
    {"Proxy-Authenticate", "Proxy-Authenticate", "", true},
    {"Proxy-Authentication-Info", "Proxy-Authentication-Info", "", true},
    {"Proxy-Authorization", "Proxy-Authorization", "", true},
    {"Authorization", "Authorization", "", false},
    {"Content-Length", "Content-Length", "", false},
    {"Content-Encoding", "Content-Encoding", "", false},
    {"Host", "Host", "", false},
    {"Trailers", "Trailers", "", false},
    {"T", "T", "", false},
    {"a name of no bytes", "", "", false},
    {"a name of no bytes beside empty elements", "", ", ,", false},
    {"named", "X-A", "x-a", true},
    {"named in a list", "X-A", "close, X-a ,b", true},
    {"named last", "X-A", "close,X-A", true},
    {"named in the second field", "X-A", "close\nX-A", true},
    {"not named", "X-A", "close, x-b\nkeep-alive", false},
    {"the beginning is named", "X-AB", "X-A", false},
    {"more is named", "X-A", "X-AB", false},
    {"behind a quote", "X-A", "\"b, x-a", true},
    {"in quotes", "X-A", "\"x-a\"", false},
    {"two words", "X-A", "x-a b", false},
};

static struct edge page;

static void check_row(const struct row *r)
{
    struct http_header fields[4] = {{CS_S("X-Other"), CS_S("x-a"), HTTP_FIELD_OTHER}};
    size_t n = 1;
    cs_str all = edge_put(&page, str_of(r->connection)), line;
    while (all.n && str_split(&all, '\n', &line)) {
        assert_true(n < ARRAY_LEN(fields));
        fields[n++] = (struct http_header){CS_S("Connection"), line, HTTP_FIELD_OTHER};
    }
    if (http_hop_is(str_of(r->name), fields, n) != r->hop)
        fail_msg("row \"%s\": expected %d", r->label, r->hop);
}

static void fields_end_here(void **state)
{
    (void)state;
    page = edge_open(4096);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
    assert_true(http_hop_is(CS_S("Upgrade"), NULL, 0));
    assert_false(http_hop_is(CS_S("X-A"), NULL, 0));
    edge_close(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fields_end_here)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
