/* Responses and where their bodies end. A row is a head, and behind it what comes on the connection; it is run in one piece, cut
 * once at every byte, and byte by byte, flush against an unreadable page. */
#include "http/reply_body.h"

#include "base/check.h"

#include "edge.h"

struct row {
    const char *label;
    const char *head; /* status line and fields, without the last empty line */
    cs_str bytes;
    const char *
        answer; /* what next says, of how many bytes, the body; what the end of the connection makes of it */
    int64_t length;
    bool keeps, to_head;
};

#define BODY(name, before, behind, want, known, kept, asked_head)                                  \
    {                                                                                              \
        .label = name, .head = before, .bytes = {behind, sizeof(behind) - 1}, .answer = want,      \
        .length = known, .keeps = kept, .to_head = asked_head                                      \
    }
#define ROW(label, head, bytes, answer, length, keeps)                                             \
    BODY(label, head, bytes, answer, length, keeps, false)
#define TO_HEAD(label, head, bytes, answer, length, keeps)                                         \
    BODY(label, head, bytes, answer, length, keeps, true)

#define OK      "HTTP/1.1 200 OK\r\n"
#define LENGTH  OK "Content-Length: 5\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n"
#define CLOSE   "Connection: close\r\n"
#define SHORT   "the connection ended before the body was whole"
#define SIZE    "a chunk size is not 1 to 16 hex digits, or too large"

static const struct row rows[] = {
    ROW("length", LENGTH, "hello", "done 5 <hello> whole", 5, true),
    ROW("length 0", OK "Content-Length: 0\r\n", "", "done 0 <> whole", 0, true),
    ROW("length, and another response behind it", LENGTH, "hello" OK "\r\n", "done 5 <hello> whole",
        5, true),
    ROW("length 0, and bytes behind it", OK "Content-Length: 0\r\n", "x", "done 0 <> whole", 0,
        true),
    ROW("length, close", LENGTH CLOSE, "hello", "done 5 <hello> whole", 5, false),
    ROW("length in HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n", "ab", "done 2 <ab> whole",
        2, false),
    ROW("length in HTTP/1.0, kept",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n", "ab",
        "done 2 <ab> whole", 2, true),
    ROW("length, cut short", LENGTH, "hell", "more 4 <hell> " SHORT, 5, true),
    ROW("length, nothing came", LENGTH, "", "more 0 <> " SHORT, 5, true),
    ROW("largest length", OK "Content-Length: 9223372036854775807\r\n", "hello",
        "more 5 <hello> " SHORT, INT64_MAX, true),
    ROW("chunks", CHUNKED, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "done 20 <hello> whole", -1, true),
    ROW("no chunk", CHUNKED, "0\r\n\r\n", "done 5 <> whole", -1, true),
    ROW("chunks and trailers", CHUNKED, "1\r\nx\r\n0\r\nA: b\r\n\r\n", "done 17 <x> whole", -1,
        true),
    ROW("chunks, close", CHUNKED CLOSE, "0\r\n\r\n", "done 5 <> whole", -1, false),
    ROW("chunks, and another response behind them", CHUNKED, "0\r\n\r\n" OK "\r\n",
        "done 5 <> whole", -1, true),
    ROW("chunks, cut in the data", CHUNKED, "5\r\nhel", "more 6 <hel> " SHORT, -1, true),
    ROW("chunks, cut behind the data", CHUNKED, "5\r\nhello\r\n", "more 10 <hello> " SHORT, -1,
        true),
    ROW("chunks, cut before the last LF", CHUNKED, "0\r\n\r", "more 4 <> " SHORT, -1, true),
    ROW("chunks, nothing came", CHUNKED, "", "more 0 <> " SHORT, -1, true),
    ROW("no chunks at all", CHUNKED, "<html>", "400 1 <> " SIZE, -1, true),
    ROW("bad second chunk", CHUNKED, "1\r\nx\r\n-1\r\n", "400 7 <x> " SIZE, -1, true),
    ROW("to the end of the connection", OK, "hello", "more 5 <hello> whole", -1, false),
    ROW("to the end, nothing came", OK, "", "more 0 <> whole", -1, false),
    ROW("to the end, HTTP/1.0", "HTTP/1.0 200 OK\r\n", "hello", "more 5 <hello> whole", -1, false),
    ROW("to the end, though it says keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n",
        "0\r\n\r\n", "more 5 <0\r\n\r\n> whole", -1, false),
    ROW("205 is like any other", "HTTP/1.1 205 x\r\nContent-Length: 0\r\n", "", "done 0 <> whole",
        0, true),
    ROW("404 as well", "HTTP/1.1 404 x\r\nContent-Length: 1\r\n", "x", "done 1 <x> whole", 1, true),
    ROW("100", "HTTP/1.1 100 Continue\r\n", OK, "done 0 <> whole", 0, true),
    ROW("199", "HTTP/1.1 199 x\r\n", "x", "done 0 <> whole", 0, true),
    ROW("204", "HTTP/1.1 204 x\r\n", OK, "done 0 <> whole", 0, true),
    ROW("204 with a length", "HTTP/1.1 204 x\r\nContent-Length: 5\r\n", "hello", "done 0 <> whole",
        0, false),
    ROW("204 in chunks", "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n",
        "done 0 <> whole", 0, false),
    ROW("304 with a length", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n", OK, "done 0 <> whole", 0,
        true),
    ROW("304 in chunks", "HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n", "", "done 0 <> whole",
        0, true),
    TO_HEAD("HEAD with a length", LENGTH, OK, "done 0 <> whole", 0, true),
    TO_HEAD("HEAD in chunks", CHUNKED, "", "done 0 <> whole", 0, true),
    TO_HEAD("HEAD without a length", OK, "", "done 0 <> whole", 0, true),
    TO_HEAD("HEAD, close", LENGTH CLOSE, "", "done 0 <> whole", 0, false),
};

struct read {
    struct http_reply_body b;
    char body[64];
    size_t n, used;
    int verdict;
};

static void begin(struct read *d, const struct row *row)
{
    char head[256];
    struct http_header fields[4];
    struct http_reply r = {.headers = fields, .headers_cap = ARRAY_LEN(fields)};
    struct http_limits lim = {4096, 0, ARRAY_LEN(fields)};
    int n = snprintf(head, sizeof head, "%s\r\n", row->head);
    if (http_reply_parse(&r, head, (size_t)n, &lim) != n)
        fail_msg("row \"%s\": the head: %s", row->label, r.error);
    memset(d, 0x5a, sizeof *d);
    d->n = d->used = 0;
    http_reply_body_begin(&d->b, &r, row->to_head);
    assert_int_equal(http_reply_body_length(&d->b), row->length);
    assert_true(http_reply_body_keeps(&d->b) == row->keeps);
}

static struct edge page;

/* One piece as it arrives: again until it wants more or has decided. */
static void feed(struct read *d, cs_str piece)
{
    piece = edge_put(&page, piece);
    do {
        size_t used;
        cs_str data;
        d->verdict = http_reply_body_next(&d->b, piece.p, piece.n, &used, &data);
        assert_true(used <= piece.n && (data.n > 0) == (d->verdict == HTTP_CHUNKED_DATA));
        assert_true(data.n == 0 || (data.p >= piece.p && data.p + data.n <= piece.p + piece.n));
        if (data.n)
            memcpy(d->body + d->n, data.p, data.n);
        d->n += data.n;
        d->used += used;
        piece = (cs_str){piece.p + used, piece.n - used};
    } while (d->verdict == HTTP_CHUNKED_DATA);
    assert_true(d->verdict != HTTP_CHUNKED_MORE || piece.n == 0);
}

static void finish(struct read *d, const struct row *row, const char *how)
{
    char got[256], status[16];
    const char *word = d->verdict == HTTP_CHUNKED_DONE ? "done" : "more";
    snprintf(status, sizeof status, "%d", -d->verdict);
    bool whole = http_reply_body_end(&d->b) == 0;
    assert_true(whole == (d->b.error == NULL));
    snprintf(got, sizeof got, "%s %zu <%.*s> %s", d->verdict < 0 ? status : word, d->used,
             (int)d->n, d->body, whole ? "whole" : d->b.error);
    expect_text(row->label, how, got, row->answer);
    assert_true(http_reply_body_keeps(&d->b) == (row->keeps && whole));
    assert_int_equal(http_reply_body_end(&d->b), whole ? 0 : -1);
}

static bool decided(const struct read *d)
{
    return d->verdict != HTTP_CHUNKED_MORE;
}

static void check_row(const struct row *row)
{
    struct read d;
    begin(&d, row);
    feed(&d, row->bytes);
    finish(&d, row, "in one piece");
    for (size_t cut = 0; cut <= row->bytes.n; cut++) {
        begin(&d, row);
        feed(&d, (cs_str){row->bytes.p, cut});
        if (!decided(&d))
            feed(&d, (cs_str){row->bytes.p + cut, row->bytes.n - cut});
        finish(&d, row, "in two pieces");
    }
    begin(&d, row);
    feed(&d, (cs_str){row->bytes.p, 0});
    for (size_t i = 0; i < row->bytes.n && !decided(&d); i++)
        feed(&d, (cs_str){row->bytes.p + i, 1});
    finish(&d, row, "byte by byte");
}

static void bodies_end(void **state)
{
    (void)state;
    page = edge_open(4096);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
    edge_close(&page);
}

/* What has been decided is said again. */
static void it_stays_so(void **state)
{
    (void)state;
    page = edge_open(4096);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct read d;
        begin(&d, &rows[i]);
        feed(&d, rows[i].bytes);
        int verdict = d.verdict;
        size_t used = d.used, n = d.n;
        for (int k = 0; k < 3 && decided(&d); k++) {
            feed(&d, CS_S("0\r\n\r\n"));
            if (d.verdict != verdict || d.used != used || d.n != n)
                fail_msg("row \"%s\": it said something else later", rows[i].label);
        }
    }
    edge_close(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_end),
        cmocka_unit_test(it_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
