/* Preconditions in the order of RFC 9110 section 13.2.2, and If-Range. */
#include "http/cond.h"

#include "edge.h"

#define MTIME  ((time_t)784111777)
#define SAME   "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"
#define SAME_2 "Sunday, 06-Nov-94 08:49:37 GMT"
#define SAME_3 "Sun Nov  6 08:49:37 1994"
#define NOW    (MTIME + 1000)

struct row {
    const char *label, *method, *fields;
    const char *etag; /* NULL: none; "-": there is no representation */
    int answer;
};

/* Without a word about it: GET, tag "a", time MTIME. */
static const struct row rows[] = {
    {"no condition", "GET", "", "\"a\"", 0},
    {"If-Match, same", "GET", "If-Match: \"a\"\r\n", "\"a\"", 0},
    {"If-Match, other", "GET", "If-Match: \"b\"\r\n", "\"a\"", 412},
    {"If-Match, other, PUT", "PUT", "If-Match: \"b\"\r\n", "\"a\"", 412},
    {"If-Match, in a list", "PUT", "If-Match: \"b\", \"a\"\r\n", "\"a\"", 0},
    {"If-Match, list with empty elements", "PUT", "If-Match: ,, \"b\" ,\t\"a\"\r\n", "\"a\"", 0},
    {"If-Match, second field", "PUT", "If-Match: \"b\"\r\nIf-Match: \"a\"\r\n", "\"a\"", 0},
    {"If-Match, case of the tag", "PUT", "If-Match: \"A\"\r\n", "\"a\"", 412},
    {"If-Match, they are weak", "PUT", "If-Match: W/\"a\"\r\n", "\"a\"", 412},
    {"If-Match, we are weak", "PUT", "If-Match: \"a\"\r\n", "W/\"a\"", 412},
    {"If-Match, both weak", "PUT", "If-Match: W/\"a\"\r\n", "W/\"a\"", 412},
    {"If-Match, star", "PUT", "If-Match: *\r\n", "\"a\"", 0},
    {"If-Match, star without a tag", "PUT", "If-Match: *\r\n", NULL, 0},
    {"If-Match, star, nothing there", "PUT", "If-Match: *\r\n", "-", 412},
    {"If-Match, tag, nothing there", "PUT", "If-Match: \"a\"\r\n", "-", 412},
    {"If-Match without a tag of ours", "PUT", "If-Match: \"a\"\r\n", NULL, 412},
    {"If-Match, no quotes", "PUT", "If-Match: a\r\n", "\"a\"", 412},
    {"If-Match, empty", "PUT", "If-Match:\r\n", "\"a\"", 412},
    {"If-Match, comma in the tag", "PUT", "If-Match: \"x\", \"a,b\"\r\n", "\"a,b\"", 0},
    {"If-Match, part of a tag with comma", "PUT", "If-Match: \"x,\"a\"\r\n", "\"a\"", 412},
    {"If-Match, backslash is a byte of the tag", "PUT", "If-Match: \"x\\\", \"a\"\r\n", "\"a\"", 0},
    {"If-Unmodified-Since, same", "PUT", "If-Unmodified-Since: " SAME "\r\n", "\"a\"", 0},
    {"If-Unmodified-Since, after", "PUT", "If-Unmodified-Since: " AFTER "\r\n", "\"a\"", 0},
    {"If-Unmodified-Since, before", "PUT", "If-Unmodified-Since: " BEFORE "\r\n", "\"a\"", 412},
    {"If-Unmodified-Since, before, GET", "GET", "If-Unmodified-Since: " BEFORE "\r\n", "\"a\"",
     412},
    {"If-Unmodified-Since, no date", "PUT", "If-Unmodified-Since: yesterday\r\n", "\"a\"", 0},
    {"If-Unmodified-Since, twice", "PUT",
     "If-Unmodified-Since: " BEFORE "\r\nIf-Unmodified-Since: " BEFORE "\r\n", "\"a\"", 0},
    {"If-Unmodified-Since, nothing there", "PUT", "If-Unmodified-Since: " BEFORE "\r\n", "-", 0},
    {"If-Match hides If-Unmodified-Since", "PUT",
     "If-Unmodified-Since: " BEFORE "\r\nIf-Match: \"a\"\r\n", "\"a\"", 0},
    {"If-Match fails, If-Unmodified-Since not", "PUT",
     "If-Unmodified-Since: " AFTER "\r\nIf-Match: \"b\"\r\n", "\"a\"", 412},
    {"If-None-Match, same", "GET", "If-None-Match: \"a\"\r\n", "\"a\"", 304},
    {"If-None-Match, same, HEAD", "HEAD", "If-None-Match: \"a\"\r\n", "\"a\"", 304},
    {"If-None-Match, same, PUT", "PUT", "If-None-Match: \"a\"\r\n", "\"a\"", 412},
    {"If-None-Match, same, POST", "POST", "If-None-Match: \"a\"\r\n", "\"a\"", 412},
    {"If-None-Match, other", "GET", "If-None-Match: \"b\"\r\n", "\"a\"", 0},
    {"If-None-Match, in a list", "GET", "If-None-Match: \"b\",W/\"a\"\r\n", "\"a\"", 304},
    {"If-None-Match, second field", "GET", "If-None-Match: \"b\"\r\nIf-None-Match: \"a\"\r\n",
     "\"a\"", 304},
    {"If-None-Match, they are weak", "GET", "If-None-Match: W/\"a\"\r\n", "\"a\"", 304},
    {"If-None-Match, we are weak", "GET", "If-None-Match: \"a\"\r\n", "W/\"a\"", 304},
    {"If-None-Match, both weak", "GET", "If-None-Match: W/\"a\"\r\n", "W/\"a\"", 304},
    {"If-None-Match, small w", "GET", "If-None-Match: w/\"a\"\r\n", "\"a\"", 0},
    {"If-None-Match, star", "GET", "If-None-Match: *\r\n", "\"a\"", 304},
    {"If-None-Match, star, PUT", "PUT", "If-None-Match: *\r\n", "\"a\"", 412},
    {"If-None-Match, star, nothing there", "PUT", "If-None-Match: *\r\n", "-", 0},
    {"If-None-Match, star in a list", "GET", "If-None-Match: *, \"b\"\r\n", "\"a\"", 0},
    {"If-None-Match without a tag of ours", "GET", "If-None-Match: \"a\"\r\n", NULL, 0},
    {"If-None-Match, no quotes", "GET", "If-None-Match: a\r\n", "\"a\"", 0},
    {"If-None-Match, quote not closed", "GET", "If-None-Match: \"a\r\n", "\"a\"", 0},
    {"If-None-Match, blank in the tag", "GET", "If-None-Match: \"a \"\r\n", "\"a\"", 0},
    {"If-None-Match, empty tag", "GET", "If-None-Match: \"\"\r\n", "\"\"", 304},
    {"If-Modified-Since, same", "GET", "If-Modified-Since: " SAME "\r\n", "\"a\"", 304},
    {"If-Modified-Since, same, HEAD", "HEAD", "If-Modified-Since: " SAME "\r\n", "\"a\"", 304},
    {"If-Modified-Since, same, RFC 850", "GET", "If-Modified-Since: " SAME_2 "\r\n", "\"a\"", 304},
    {"If-Modified-Since, same, asctime", "GET", "If-Modified-Since: " SAME_3 "\r\n", "\"a\"", 304},
    {"If-Modified-Since, after", "GET", "If-Modified-Since: " AFTER "\r\n", "\"a\"", 304},
    {"If-Modified-Since, before", "GET", "If-Modified-Since: " BEFORE "\r\n", "\"a\"", 0},
    {"If-Modified-Since, PUT", "PUT", "If-Modified-Since: " SAME "\r\n", "\"a\"", 0},
    {"If-Modified-Since, no date", "GET", "If-Modified-Since: 784111777\r\n", "\"a\"", 0},
    {"If-Modified-Since, two dates", "GET", "If-Modified-Since: " SAME ", " SAME "\r\n", "\"a\"",
     0},
    {"If-Modified-Since, nothing there", "GET", "If-Modified-Since: " SAME "\r\n", "-", 0},
    {"If-None-Match hides If-Modified-Since", "GET",
     "If-Modified-Since: " SAME "\r\nIf-None-Match: \"b\"\r\n", "\"a\"", 0},
    {"If-None-Match hides it even without a tag of ours", "GET",
     "If-None-Match: \"b\"\r\nIf-Modified-Since: " SAME "\r\n", NULL, 0},
    {"If-None-Match same, If-Modified-Since before", "GET",
     "If-Modified-Since: " BEFORE "\r\nIf-None-Match: \"a\"\r\n", "\"a\"", 304},
    {"If-Match good, then If-None-Match", "GET", "If-Match: \"a\"\r\nIf-None-Match: \"a\"\r\n",
     "\"a\"", 304},
    {"If-Match bad comes first", "GET", "If-None-Match: \"a\"\r\nIf-Match: \"b\"\r\n", "\"a\"",
     412},
    {"If-Unmodified-Since good, then If-Modified-Since", "GET",
     "If-Unmodified-Since: " SAME "\r\nIf-Modified-Since: " SAME "\r\n", "\"a\"", 304},
    {"If-Unmodified-Since bad comes first", "GET",
     "If-Unmodified-Since: " BEFORE "\r\nIf-None-Match: \"a\"\r\n", "\"a\"", 412},
};

struct request {
    char bytes[512];
    struct http_header fields[8];
    struct http_head head;
};

static void parse(struct request *q, const char *method, const char *fields)
{
    struct http_limits lim = {512, 128, 8};
    int n = snprintf(q->bytes, sizeof q->bytes, "%s / HTTP/1.0\r\n%s\r\n", method, fields);
    q->head = (struct http_head){.headers = q->fields, .headers_cap = 8};
    assert_int_equal(http_head_parse(&q->head, q->bytes, (size_t)n, &lim), n);
}

static void preconditions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct request q;
        bool exists = !r->etag || r->etag[0] != '-';
        struct http_validators v = {{NULL, 0}, MTIME};
        if (exists)
            v.etag = str_of(r->etag);
        parse(&q, r->method, r->fields);
        int got = http_cond_eval(&q.head, &v, exists, NOW);
        if (got != r->answer)
            fail_msg("row \"%s\": got %d, expected %d", r->label, got, r->answer);
    }
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

static void no_time_no_dates(void **state)
{
    (void)state;
    struct request q;
    struct http_validators v = {{NULL, 0}, -1};
    parse(&q, "GET", "If-Modified-Since: " SAME "\r\n");
    assert_int_equal(http_cond_eval(&q.head, &v, true, NOW), 0);
    parse(&q, "GET", "If-Unmodified-Since: Wed, 31 Dec 1969 23:59:58 GMT\r\n");
    assert_int_equal(http_cond_eval(&q.head, &v, true, NOW), 0);
}

static void if_range(void **state)
{
    (void)state;
    static const struct {
        const char *label, *fields, *etag;
        int age; /* of the representation, in seconds */
        bool ok;
    } table[] = {
        {"none", "", "\"a\"", 1000, true},
        {"same tag", "If-Range: \"a\"\r\n", "\"a\"", 1000, true},
        {"other tag", "If-Range: \"b\"\r\n", "\"a\"", 1000, false},
        {"they are weak", "If-Range: W/\"a\"\r\n", "\"a\"", 1000, false},
        {"we are weak", "If-Range: \"a\"\r\n", "W/\"a\"", 1000, false},
        {"both weak", "If-Range: W/\"a\"\r\n", "W/\"a\"", 1000, false},
        {"no tag of ours", "If-Range: \"a\"\r\n", NULL, 1000, false},
        {"a list", "If-Range: \"b\", \"a\"\r\n", "\"a\"", 1000, false},
        {"a list that begins well", "If-Range: \"a\", \"b\"\r\n", "\"a\"", 1000, false},
        {"star", "If-Range: *\r\n", "\"a\"", 1000, false},
        {"empty", "If-Range:\r\n", "\"a\"", 1000, false},
        {"same date", "If-Range: " SAME "\r\n", "\"a\"", 1000, true},
        {"same date, RFC 850", "If-Range: " SAME_2 "\r\n", "\"a\"", 1000, true},
        {"date before", "If-Range: " BEFORE "\r\n", "\"a\"", 1000, false},
        {"date after", "If-Range: " AFTER "\r\n", "\"a\"", 1000, false},
        {"date a second old", "If-Range: " SAME "\r\n", "\"a\"", 1, true},
        {"date of just now", "If-Range: " SAME "\r\n", "\"a\"", 0, false},
        {"date to come", "If-Range: " SAME "\r\n", "\"a\"", -5, false},
        {"no date", "If-Range: 1994\r\n", "\"a\"", 1000, false},
        {"two fields", "If-Range: \"a\"\r\nIf-Range: \"a\"\r\n", "\"a\"", 1000, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct request q;
        struct http_validators v = {str_of(table[i].etag), MTIME};
        parse(&q, "GET", table[i].fields);
        if (http_cond_range_ok(&q.head, &v, MTIME + table[i].age) != table[i].ok)
            fail_msg("row \"%s\"", table[i].label);
    }
    printf("rows: %zu\n", sizeof table / sizeof table[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preconditions),
        cmocka_unit_test(no_time_no_dates),
        cmocka_unit_test(if_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
