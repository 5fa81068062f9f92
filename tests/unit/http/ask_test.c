/* Heads of requests: what is written, byte by byte, and what is refused with which sentence. All text lies flush against an
 * unreadable page; what is written is read back by the parser of requests. */
#include "http/ask.h"

#include "base/check.h"
#include "http/head.h"

#include "edge.h"

#define MAX_FIELDS 4

struct row {
    const char *label;
    cs_str method, target, host;
    cs_str fields[MAX_FIELDS][2]; /* up to the first without a name */
    int64_t body_len;
    const char *answer; /* what is written, or the sentence */
};

#define S(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define ASK(name, m, t, h, want, ...)                                                              \
    {                                                                                              \
        .label = name, .method = S(m), .target = S(t), .host = S(h), .answer = want, __VA_ARGS__   \
    }
#define WITH(name, value) .fields = {{S(name), S(value)}}
#define FIELD(label, name, value, want)                                                            \
    ASK(label, "GET", "/", "a", want, WITH(name, value), .body_len = 0)

#define BAD_TARGET "the target has a blank, a #, a control byte or one outside of ASCII"
#define NO_SLASH   "the target does not begin with /"
#define BAD_NAME   "the name of a field is not a token"
#define BAD_VALUE  "the value of a field has a line end or another control byte"
#define BAD_HOST   "the host is not a host with an optional port"
#define NO_TOKEN   "the method is not a token"

static const struct row good[] = {
    ASK("shortest", "GET", "/", "a", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", .body_len = 0),
    ASK("path and query", "GET", "/b?c=d", "a:81", "GET /b?c=d HTTP/1.1\r\nHost: a:81\r\n\r\n",
        .body_len = 0),
    ASK("empty target", "GET", "", "a", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", .body_len = 0),
    ASK("query without path", "GET", "?b", "a", "GET /?b HTTP/1.1\r\nHost: a\r\n\r\n",
        .body_len = 0),
    ASK("asterisk", "OPTIONS", "*", "a", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", .body_len = 0),
    ASK("two slashes", "GET", "//b/c", "a", "GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n", .body_len = 0),
    ASK("IPv6", "GET", "/", "[::1]:8080", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        .body_len = 0),
    ASK("a method of one's own", "x!#", "/", "a", "x!# / HTTP/1.1\r\nHost: a\r\n\r\n",
        .body_len = 0),
    ASK("fields keep their order", "GET", "/", "a",
        "GET / HTTP/1.1\r\nHost: a\r\nX-B: 1\r\nX-A: 2\r\nX-B: 3\r\n\r\n",
        .fields = {{S("X-B"), S("1")}, {S("X-A"), S("2")}, {S("X-B"), S("3")}}),
    FIELD("empty value", "X", "", "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"),
    FIELD("value of blanks", "X", " \t ", "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"),
    FIELD("blanks around a value", "X", "\t b c ", "GET / HTTP/1.1\r\nHost: a\r\nX: b c\r\n\r\n"),
    FIELD("tab and high bytes inside", "X", "b\tc\xc3\xa4\xff",
          "GET / HTTP/1.1\r\nHost: a\r\nX: b\tc\xc3\xa4\xff\r\n\r\n"),
    FIELD("colons", "X", ":b:c:", "GET / HTTP/1.1\r\nHost: a\r\nX: :b:c:\r\n\r\n"),
    FIELD("Proxy-Authorization may be meant", "Proxy-Authorization", "Basic x",
          "GET / HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic x\r\n\r\n"),
    FIELD("nearly Content-Length", "Content_Length", "5",
          "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n"),
    ASK("length", "POST", "/", "a", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        .body_len = 5),
    ASK("largest length", "PUT", "/", "a",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
        .body_len = INT64_MAX),
    ASK("framing comes last", "POST", "/", "a",
        "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 1\r\n\r\n", WITH("X", "y"),
        .body_len = 1),
    ASK("chunked", "POST", "/", "a",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        .body_len = HTTP_ASK_CHUNKED),
    ASK("GET with a body", "GET", "/", "a",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", .body_len = 1),
    ASK("POST without a body", "POST", "/", "a",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", .body_len = 0),
    ASK("PUT without a body", "PUT", "/", "a",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", .body_len = 0),
    ASK("PATCH without a body", "PATCH", "/", "a",
        "PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", .body_len = 0),
    ASK("DELETE without a body", "DELETE", "/", "a", "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
        .body_len = 0),
    ASK("post in small letters is another", "post", "/", "a", "post / HTTP/1.1\r\nHost: a\r\n\r\n",
        .body_len = 0),
    ASK("TRACE", "TRACE", "/", "a", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", .body_len = 0),
};

static const struct row bad[] = {
    ASK("no method", "", "/", "a", NO_TOKEN, .body_len = 0),
    ASK("method with a blank", "GET /x", "/", "a", NO_TOKEN, .body_len = 0),
    ASK("method with CRLF", "GET\r\n", "/", "a", NO_TOKEN, .body_len = 0),
    ASK("method with NUL", "GE\0", "/", "a", NO_TOKEN, .body_len = 0),
    ASK("CONNECT", "CONNECT", "/", "a", "CONNECT asks for a tunnel, and there is none",
        .body_len = 0),
    ASK("TRACE with a length", "TRACE", "/", "a", "TRACE has no body", .body_len = 1),
    ASK("TRACE in chunks", "TRACE", "/", "a", "TRACE has no body", .body_len = HTTP_ASK_CHUNKED),
    ASK("a second request line", "GET", "/ HTTP/1.1\r\nHost: b\r\n\r\nGET /", "a", BAD_TARGET,
        .body_len = 0),
    ASK("blank in the target", "GET", "/b c", "a", BAD_TARGET, .body_len = 0),
    ASK("tab in the target", "GET", "/\t", "a", BAD_TARGET, .body_len = 0),
    ASK("LF in the target", "GET", "/b\n", "a", BAD_TARGET, .body_len = 0),
    ASK("CR in the target", "GET", "/b\r", "a", BAD_TARGET, .body_len = 0),
    ASK("NUL in the target", "GET", "/b\0c", "a", BAD_TARGET, .body_len = 0),
    ASK("DEL in the target", "GET", "/b\x7f", "a", BAD_TARGET, .body_len = 0),
    ASK("high byte in the target", "GET", "/\xc3\xa4", "a", BAD_TARGET, .body_len = 0),
    ASK("fragment in the target", "GET", "/b#c", "a", BAD_TARGET, .body_len = 0),
    ASK("relative target", "GET", "b", "a", NO_SLASH, .body_len = 0),
    ASK("absolute target", "GET", "http://b/", "a", NO_SLASH, .body_len = 0),
    ASK("asterisk and more", "OPTIONS", "*/", "a", NO_SLASH, .body_len = 0),
    ASK("asterisk for GET", "GET", "*", "a", "the target * is for OPTIONS only", .body_len = 0),
    ASK("no host", "GET", "/", "", "there is no host", .body_len = 0),
    ASK("only a port", "GET", "/", ":80", BAD_HOST, .body_len = 0),
    ASK("host with CRLF", "GET", "/", "a\r\nX: y", BAD_HOST, .body_len = 0),
    ASK("host with a blank", "GET", "/", "a b", BAD_HOST, .body_len = 0),
    ASK("host with a user", "GET", "/", "u@a", BAD_HOST, .body_len = 0),
    ASK("host with a path", "GET", "/", "a/b", BAD_HOST, .body_len = 0),
    ASK("host with NUL", "GET", "/", "a\0", BAD_HOST, .body_len = 0),
    ASK("host with a bad port", "GET", "/", "a:x", BAD_HOST, .body_len = 0),
    FIELD("field without name", "", "y", BAD_NAME),
    FIELD("name with a colon", "X:", "y", BAD_NAME),
    FIELD("name with a blank", "X Y", "y", BAD_NAME),
    FIELD("name with CRLF", "X: y\r\nHost", "y", BAD_NAME),
    FIELD("name with LF", "\nX", "y", BAD_NAME),
    FIELD("name with NUL", "X\0", "y", BAD_NAME),
    FIELD("name with a high byte", "X\xc3", "y", BAD_NAME),
    FIELD("value with CRLF", "X", "y\r\nHost: b", BAD_VALUE),
    FIELD("value with LF", "X", "y\nHost: b", BAD_VALUE),
    FIELD("value with CR", "X", "y\rz", BAD_VALUE),
    FIELD("value that ends with CRLF", "X", "y\r\n", BAD_VALUE),
    FIELD("value that begins with CRLF", "X", "\r\ny", BAD_VALUE),
    FIELD("folded value", "X", "y\r\n z", BAD_VALUE),
    FIELD("value with NUL", "X", "y\0z", BAD_VALUE),
    FIELD("value of one NUL", "X", "\0", BAD_VALUE),
    FIELD("value with DEL", "X", "y\x7f", BAD_VALUE),
    FIELD("value with a control byte", "X", "y\x1b", BAD_VALUE),
    FIELD("Host", "Host", "b", "the field Host is made from the URL"),
    FIELD("host in any case", "hOST", "b", "the field Host is made from the URL"),
    FIELD("Content-Length", "Content-Length", "5",
          "the field Content-Length is made from the body"),
    FIELD("Transfer-Encoding", "transfer-encoding", "chunked",
          "the field Transfer-Encoding is made from the body"),
    FIELD("Connection", "Connection", "close",
          "the field Connection is the server's: connections are kept for others"),
    FIELD("Keep-Alive", "Keep-Alive", "timeout=5",
          "the field Keep-Alive is the server's: connections are kept for others"),
    FIELD("Proxy-Connection", "Proxy-Connection", "close",
          "the field Proxy-Connection is the server's: connections are kept for others"),
    FIELD("TE", "TE", "trailers",
          "the field TE asks for what is not read: trailers and other codings"),
    FIELD("Trailer", "Trailer", "X", "the field Trailer promises what is not sent: trailers"),
    FIELD("Upgrade", "Upgrade", "websocket",
          "the field Upgrade asks for another protocol, and only HTTP/1.1 is spoken"),
    FIELD("Expect", "Expect", "100-continue",
          "the field Expect asks to wait before the body, and nobody does"),
    ASK("the last field counts too", "GET", "/", "a", BAD_VALUE,
        .fields = {{S("X"), S("y")}, {S("X"), S("y\n")}}),
};

/* Three texts and each field in pages of their own. */
static struct edge pages[3 + 2 * MAX_FIELDS];

struct laid {
    struct http_ask ask;
    struct http_header fields[MAX_FIELDS];
};

static void lay(struct laid *l, const struct row *r)
{
    size_t n = 0;
    for (; n < MAX_FIELDS && r->fields[n][0].p; n++)
        l->fields[n] = (struct http_header){edge_put(&pages[3 + 2 * n], r->fields[n][0]),
                                            edge_put(&pages[4 + 2 * n], r->fields[n][1]), 0};
    l->ask = (struct http_ask){edge_put(&pages[0], r->method),
                               edge_put(&pages[1], r->target),
                               edge_put(&pages[2], r->host),
                               l->fields,
                               n,
                               r->body_len};
}

/* The parser of requests finds what was asked for. */
static void read_back(const struct row *r, const struct http_ask *a, cs_str bytes)
{
    struct http_header fields[MAX_FIELDS + 2];
    struct http_head h = {.headers = fields, .headers_cap = ARRAY_LEN(fields)};
    struct http_limits lim = {4096, 1024, ARRAY_LEN(fields)};
    long verdict = http_head_parse(&h, bytes.p, bytes.n, &lim);
    if (verdict != (long)bytes.n)
        fail_msg("row \"%s\": read back: %ld, %s", r->label, verdict, h.error);
    assert_true(str_eq(h.method_text, a->method));
    assert_true(str_eq(fields[0].value, a->host));
    for (size_t i = 0; i < a->nfields; i++)
        assert_true(str_eq(fields[i + 1].name, a->fields[i].name) &&
                    str_eq(fields[i + 1].value, str_trim(a->fields[i].value)));
    assert_true(h.keep_alive && h.chunked == (a->body_len < 0));
    assert_true(a->body_len <= 0 || h.content_length == a->body_len);
}

static void good_asks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct laid l;
        struct buf out = {0};
        const char *error = NULL;
        lay(&l, &good[i]);
        buf_add_z(&out, "before");
        if (http_ask_write(&l.ask, &out, &error) < 0)
            fail_msg("row \"%s\": refused: %s", good[i].label, error);
        expect_text(good[i].label, "written", out.p + 6, good[i].answer);
        assert_true(str_starts(buf_str(&out), CS_S("before")));
        read_back(&good[i], &l.ask, (cs_str){out.p + 6, out.n - 6});
        buf_free(&out);
    }
}

static void bad_asks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct laid l;
        struct buf out = {0};
        const char *error = NULL;
        lay(&l, &bad[i]);
        buf_add_z(&out, "before");
        if (http_ask_write(&l.ask, &out, &error) != -1)
            fail_msg("row \"%s\": not refused", bad[i].label);
        expect_text(bad[i].label, "refused", error ? error : "", bad[i].answer);
        expect_text(bad[i].label, "left in out", out.p, "before");
        buf_free(&out);
    }
}

static void no_bytes_need_no_memory(void **state)
{
    (void)state;
    struct http_header field = {.name = CS_S("X")};
    struct http_ask a = {.method = CS_S("GET"), .host = CS_S("a"), .fields = &field, .nfields = 1};
    struct buf out = {0};
    const char *error = NULL;
    assert_int_equal(http_ask_write(&a, &out, &error), 0);
    assert_string_equal(out.p, "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n");
    buf_free(&out);
}

static int open_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        pages[i] = edge_open(4096);
    return 0;
}

static int close_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        edge_close(&pages[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_asks),
        cmocka_unit_test(bad_asks),
        cmocka_unit_test(no_bytes_need_no_memory),
    };
    return cmocka_run_group_tests(tests, open_pages, close_pages);
}
