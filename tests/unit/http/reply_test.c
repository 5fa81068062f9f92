/* Heads of responses and what the parser must say about them, whichever way it scans them.
 *
 * As in head_test.c a row is run in one piece and cut at every byte, each piece flush against an unreadable page and at another
 * address than the one before. A head that is good is complete with its last byte; one that is refused is refused with
 * the last byte of the row and not before, and stays so; whatever follows changes nothing. */
#include "http/reply.h"

#include "base/check.h"
#include "http/scan.h"

#include "edge.h"

#define OK         "HTTP/1.1 200 OK\r\n"
#define MAX_FIELDS 8

struct row {
    const char *label;
    cs_str bytes;
    const char *answer; /* facts, or a sentence, or "more" */
    struct http_limits limits;
};

#define LIMITED(label, bytes, answer, ...)                                                         \
    {                                                                                              \
        label, {bytes, sizeof(bytes) - 1}, answer,                                                 \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define ROW(label, bytes, answer) LIMITED(label, bytes, answer, 0, 0, 0)

/* status HTTP/1.minor <reason>, number of fields, framing, keep or close */
static const struct row good[] = {
    ROW("usual", OK "\r\n", "200 1.1 <OK> fields=0 keep"),
    ROW("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", "200 1.0 <OK> fields=0 close"),
    ROW("HTTP/1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n",
        "200 1.0 <OK> fields=1 keep"),
    ROW("HTTP/1.9 counts as 1.1", "HTTP/1.9 200 OK\r\n\r\n", "200 1.1 <OK> fields=0 keep"),
    ROW("no reason, a blank", "HTTP/1.1 200 \r\n\r\n", "200 1.1 <> fields=0 keep"),
    ROW("no reason, no blank", "HTTP/1.1 200\r\n\r\n", "200 1.1 <> fields=0 keep"),
    ROW("reason of several words", "HTTP/1.1 404 Not Found \r\n\r\n",
        "404 1.1 <Not Found > fields=0 keep"),
    ROW("reason that begins with a blank", "HTTP/1.1 200  x\r\n\r\n", "200 1.1 < x> fields=0 keep"),
    ROW("reason with tab and high bytes", "HTTP/1.1 200 a\tb\xc3\xa4\xff\r\n\r\n",
        "200 1.1 <a\tb\xc3\xa4\xff> fields=0 keep"),
    ROW("lowest status", "HTTP/1.1 100 Continue\r\n\r\n", "100 1.1 <Continue> fields=0 keep"),
    ROW("highest status", "HTTP/1.1 599 x\r\n\r\n", "599 1.1 <x> fields=0 keep"),
    ROW("101 is for the caller", "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "101 1.1 <x> fields=2 keep"),
    ROW("103 with fields", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        "103 1.1 <Early Hints> fields=1 keep"),
    ROW("length", OK "Content-Length: 5\r\n\r\n", "200 1.1 <OK> fields=1 length=5 keep"),
    ROW("length 0", OK "content-length:0\r\n\r\n", "200 1.1 <OK> fields=1 length=0 keep"),
    ROW("length with zeros and blanks", OK "Content-Length:\t 005 \r\n\r\n",
        "200 1.1 <OK> fields=1 length=5 keep"),
    ROW("largest length", OK "Content-Length: 9223372036854775807\r\n\r\n",
        "200 1.1 <OK> fields=1 length=9223372036854775807 keep"),
    ROW("length in HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
        "200 1.0 <OK> fields=1 length=3 close"),
    ROW("chunked", OK "Transfer-Encoding: chunked\r\n\r\n", "200 1.1 <OK> fields=1 chunked keep"),
    ROW("Chunked in capitals", OK "TRANSFER-ENCODING: CHUNKED\r\n\r\n",
        "200 1.1 <OK> fields=1 chunked keep"),
    ROW("close", OK "Connection: close\r\n\r\n", "200 1.1 <OK> fields=1 close"),
    ROW("close in a list", OK "Connection: x, ,Close , y\r\n\r\n", "200 1.1 <OK> fields=1 close"),
    ROW("close beats keep-alive of another field",
        OK "Connection: close\r\nConnection: keep-alive\r\n\r\n", "200 1.1 <OK> fields=2 close"),
    ROW("close beats keep-alive before it",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
        "200 1.0 <OK> fields=2 close"),
    ROW("keep-alive in HTTP/1.1", OK "Connection: keep-alive\r\n\r\n",
        "200 1.1 <OK> fields=1 keep"),
    ROW("closed is not close", OK "Connection: closed\r\n\r\n", "200 1.1 <OK> fields=1 keep"),
    ROW("204 with length 0", "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n",
        "204 1.1 <x> fields=1 length=0 keep"),
    ROW("204 with a length is not kept", "HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\n",
        "204 1.1 <x> fields=1 length=1 close"),
    ROW("204 in chunks is not kept", "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "204 1.1 <x> fields=1 chunked close"),
    ROW("304 with a length", "HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n",
        "304 1.1 <x> fields=1 length=7 keep"),
    ROW("1xx with length 0", "HTTP/1.1 102 x\r\nContent-Length: 0\r\n\r\n",
        "102 1.1 <x> fields=1 length=0 keep"),
    ROW("empty value", OK "X:\r\n\r\n", "200 1.1 <OK> fields=1 keep"),
    ROW("value of high bytes", OK "X: \x80\xff\r\n\r\n", "200 1.1 <OK> fields=1 keep"),
    ROW("name of odd tchars", OK "!#$%&'*+-.^_`|~: 1\r\n\r\n", "200 1.1 <OK> fields=1 keep"),
    ROW("many fields", OK "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\n\r\n",
        "200 1.1 <OK> fields=8 keep"),
    LIMITED("head of exactly max_head", OK "\r\n", "200 1.1 <OK> fields=0 keep", .max_head = 19),
    LIMITED("exactly max_headers", OK "A: 1\r\nB: 2\r\n\r\n", "200 1.1 <OK> fields=2 keep",
            .max_headers = 2),
};

#define NO_HTTP    "the status line does not start with HTTP/ and a version"
#define NO_STATUS  "the status is not three digits from 100 to 599"
#define BARE_LF    "a line ends with LF instead of CRLF"
#define BARE_CR    "a CR without LF"
#define BAD_NAME   "a field name is empty or has a byte it may not have"
#define BAD_VALUE  "a field value has a control byte"
#define FOLDED     "a field line starts with a blank (obs-fold)"
#define BAD_REASON "the reason phrase has a control byte"
#define NO_NUMBER  "Content-Length is not a number"
#define TWICE      "more than one Content-Length"
#define BESIDE     "Content-Length beside Transfer-Encoding"
#define NO_CHUNKED "Transfer-Encoding is not exactly \"chunked\""
#define TOO_LONG   "the head is too long"
#define TOO_MANY   "too many fields"
#define INTERIM    "a 1xx response announces a body"

static const struct row bad[] = {
    /* The status line. */
    ROW("what is left of a body", "x", NO_HTTP),
    ROW("NUL", "\0", NO_HTTP),
    ROW("TLS", "\x15", NO_HTTP),
    ROW("an empty line before", "\r", "an empty line before the status line"),
    ROW("LF before", "\n", BARE_LF),
    ROW("blank before", " ", NO_HTTP),
    ROW("small letters", "h", NO_HTTP),
    ROW("HTTP of a page", "HTTP ", NO_HTTP),
    ROW("HTTPS", "HTTPS", NO_HTTP),
    ROW("ICY", "I", NO_HTTP),
    ROW("a request", "G", NO_HTTP),
    ROW("HTTP/2", "HTTP/2 ", NO_HTTP),
    ROW("HTTP/2.0", "HTTP/2.0", "the major version is not 1"),
    ROW("HTTP/0.9", "HTTP/0.9", "the major version is not 1"),
    ROW("two digits of minor", "HTTP/1.11", NO_STATUS),
    ROW("version with a letter", "HTTP/1.x", NO_HTTP),
    ROW("version with a comma", "HTTP/1,", NO_HTTP),
    ROW("no status", "HTTP/1.1\r", NO_STATUS),
    ROW("LF behind the version", "HTTP/1.1\n", BARE_LF),
    ROW("tab behind the version", "HTTP/1.1\t", NO_STATUS),
    ROW("two blanks", "HTTP/1.1  ", NO_STATUS),
    ROW("status of letters", "HTTP/1.1 O", NO_STATUS),
    ROW("status 000", "HTTP/1.1 0", NO_STATUS),
    ROW("status 099", "HTTP/1.1 0", NO_STATUS),
    ROW("status 600", "HTTP/1.1 6", NO_STATUS),
    ROW("status 999", "HTTP/1.1 9", NO_STATUS),
    ROW("status -20", "HTTP/1.1 -", NO_STATUS),
    ROW("status +20", "HTTP/1.1 +", NO_STATUS),
    ROW("status of two digits", "HTTP/1.1 20 ", NO_STATUS),
    ROW("status of two digits, line end", "HTTP/1.1 20\r", NO_STATUS),
    ROW("status of one digit", "HTTP/1.1 2 ", NO_STATUS),
    ROW("status of four digits", "HTTP/1.1 2000", NO_STATUS),
    ROW("status 20x", "HTTP/1.1 20x", NO_STATUS),
    ROW("status with NUL", "HTTP/1.1 200\0", NO_STATUS),
    ROW("tab behind the status", "HTTP/1.1 200\t", NO_STATUS),
    ROW("LF behind the status", "HTTP/1.1 200\n", BARE_LF),
    ROW("CR behind the status", "HTTP/1.1 200\rX", BARE_CR),
    ROW("LF in the reason", "HTTP/1.1 200 OK\n", BARE_LF),
    ROW("CR in the reason", "HTTP/1.1 200 OK\rX", BARE_CR),
    ROW("CR CR in the reason", "HTTP/1.1 200 OK\r\r", BARE_CR),
    ROW("NUL in the reason", "HTTP/1.1 200 O\0", BAD_REASON),
    ROW("DEL in the reason", "HTTP/1.1 200 O\x7f", BAD_REASON),
    ROW("escape in the reason", "HTTP/1.1 200 \x1b", BAD_REASON),
    ROW("control byte far inside the reason", "HTTP/1.1 200 1234567890123456789012345678901234\x01",
        BAD_REASON),
    /* Field lines. */
    ROW("obs-fold", OK "X: y\r\n ", FOLDED),
    ROW("obs-fold with a tab", OK "X: y\r\n\t", FOLDED),
    ROW("blank before the first field", OK " ", FOLDED),
    ROW("no name", OK ":", BAD_NAME),
    ROW("blank before the colon", OK "Content-Length ", BAD_NAME),
    ROW("tab before the colon", OK "Content-Length\t", BAD_NAME),
    ROW("line without a colon", OK "Xyz\r", BARE_CR),
    ROW("line without a colon, LF", OK "Xyz\n", BARE_LF),
    ROW("name with NUL", OK "X\0", BAD_NAME),
    ROW("name with a high byte", OK "X\xc3", BAD_NAME),
    ROW("LF behind a value", OK "X: y\n", BARE_LF),
    ROW("LF in an empty value", OK "X:\n", BARE_LF),
    ROW("CR in a value", OK "X: y\rZ", BARE_CR),
    ROW("CR CR LF", OK "X: y\r\r", BARE_CR),
    ROW("LF for the last line", OK "X: y\r\n\n", BARE_LF),
    ROW("CR for the last line", OK "X: y\r\n\rX", BARE_CR),
    ROW("NUL in a value", OK "X: y\0", BAD_VALUE),
    ROW("DEL in a value", OK "X: y\x7f", BAD_VALUE),
    ROW("vertical tab in a value", OK "X: \x0b", BAD_VALUE),
    ROW("a second head behind LF", OK "X: y\n", BARE_LF),
    /* Content-Length. */
    ROW("empty length", OK "Content-Length:\r\n", NO_NUMBER),
    ROW("length of blanks", OK "Content-Length: \t \r\n", NO_NUMBER),
    ROW("length +5", OK "Content-Length: +5\r\n", NO_NUMBER),
    ROW("length -5", OK "Content-Length: -5\r\n", NO_NUMBER),
    ROW("length 0x5", OK "Content-Length: 0x5\r\n", NO_NUMBER),
    ROW("length 5x", OK "Content-Length: 5x\r\n", NO_NUMBER),
    ROW("length 5 5", OK "Content-Length: 5 5\r\n", NO_NUMBER),
    ROW("length 5, 5", OK "Content-Length: 5, 5\r\n", NO_NUMBER),
    ROW("length 5,", OK "Content-Length: 5,\r\n", NO_NUMBER),
    ROW("length in quotes", OK "Content-Length: \"5\"\r\n", NO_NUMBER),
    ROW("length 2^63", OK "Content-Length: 9223372036854775808\r\n", NO_NUMBER),
    ROW("length 2^64 + 5", OK "Content-Length: 18446744073709551621\r\n", NO_NUMBER),
    ROW("two lengths", OK "Content-Length: 5\r\nContent-Length: 6\r\n", TWICE),
    ROW("two equal lengths", OK "Content-Length: 5\r\nContent-Length: 5\r\n", TWICE),
    ROW("a second length of 0", OK "Content-Length: 0\r\nX: y\r\ncontent-length: 0\r\n", TWICE),
    /* Transfer-Encoding. */
    ROW("length, then chunked", OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", BESIDE),
    ROW("chunked, then length", OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", BESIDE),
    ROW("length 0, then chunked", OK "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", BESIDE),
    ROW("chunked, then what is no length", OK "Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
        BESIDE),
    ROW("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding in HTTP/1.0"),
    ROW("gzip in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: gzip\r\n",
        "Transfer-Encoding in HTTP/1.0"),
    ROW("chunked in two fields", OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "more than one Transfer-Encoding"),
    ROW("empty coding", OK "Transfer-Encoding:\r\n", NO_CHUNKED),
    ROW("gzip", OK "Transfer-Encoding: gzip\r\n", NO_CHUNKED),
    ROW("identity", OK "Transfer-Encoding: identity\r\n", NO_CHUNKED),
    ROW("gzip, chunked", OK "Transfer-Encoding: gzip, chunked\r\n", NO_CHUNKED),
    ROW("chunked twice", OK "Transfer-Encoding: chunked, chunked\r\n", NO_CHUNKED),
    ROW("chunked, gzip", OK "Transfer-Encoding: chunked, gzip\r\n", NO_CHUNKED),
    ROW("chunked and a comma", OK "Transfer-Encoding: chunked,\r\n", NO_CHUNKED),
    ROW("chunked with a parameter", OK "Transfer-Encoding: chunked;q=1\r\n", NO_CHUNKED),
    ROW("xchunked", OK "Transfer-Encoding: xchunked\r\n", NO_CHUNKED),
    ROW("vertical tab before chunked", OK "Transfer-Encoding: \x0b", BAD_VALUE),
    /* Where there can be no body. */
    ROW("100 with a length", "HTTP/1.1 100 x\r\nContent-Length: 1\r\n\r\n", INTERIM),
    ROW("103 in chunks", "HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n", INTERIM),
    /* Limits. */
    LIMITED("status line too long", "HTTP/1.1 2", TOO_LONG, .max_head = 10),
    LIMITED("reason too long", "HTTP/1.1 200 0123456", TOO_LONG, .max_head = 20),
    LIMITED("name too long", OK "Con", TOO_LONG, .max_head = 20),
    LIMITED("value too long", OK "X:0123456", TOO_LONG, .max_head = 26),
    LIMITED("head too long by 1", OK "\r", TOO_LONG, .max_head = 18),
    LIMITED("one field too many", OK "A: 1\r\nB: 2\r\nC", TOO_MANY, .max_headers = 2),
    LIMITED("more than there is room for", OK "A:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nH:\r\nI",
            TOO_MANY, .max_headers = 1000),
};

static const struct row partial[] = {
    ROW("nothing yet", "", "more"),
    ROW("half a version", "HTTP/1", "more"),
    ROW("status without its end", "HTTP/1.1 200", "more"),
    ROW("a CR behind the status", "HTTP/1.1 200\r", "more"),
    ROW("half a reason", "HTTP/1.1 200 O", "more"),
    ROW("the status line", OK, "more"),
    ROW("a name", OK "Content-Le", "more"),
    ROW("a value that ends in CR", OK "X: y\r", "more"),
    ROW("all but the last LF", OK "X: y\r\n\r", "more"),
    LIMITED("one byte below the limit", OK "X", "more", .max_head = 19),
};

static struct http_limits limits_of(const struct row *r)
{
    struct http_limits lim = r->limits;
    if (lim.max_head == 0)
        lim.max_head = 4096;
    if (lim.max_headers == 0)
        lim.max_headers = MAX_FIELDS;
    return lim;
}

/* What the parser found, as one line of text. */
static void describe(const struct http_reply *r, long verdict, char *out, size_t room)
{
    char length[40] = "";
    if (verdict <= 0) {
        snprintf(out, room, "%s", verdict == 0 ? "more" : r->error ? r->error : "no sentence");
        return;
    }
    if (r->content_length >= 0)
        snprintf(length, sizeof length, " length=%lld", (long long)r->content_length);
    snprintf(out, room, "%d 1.%d <%.*s> fields=%zu%s%s%s", r->status, r->minor, CS_F(r->reason),
             r->nheaders, length, r->chunked ? " chunked" : "", r->keep_alive ? " keep" : " close");
}

static struct edge pages[2];

static long parse_whole(cs_str bytes, const struct row *row, char *text, size_t room)
{
    struct http_header headers[MAX_FIELDS];
    struct http_reply r = {.headers = headers, .headers_cap = MAX_FIELDS};
    struct http_limits lim = limits_of(row);
    cs_str at = edge_put(&pages[0], bytes);
    long verdict = http_reply_parse(&r, at.p, at.n, &lim);
    describe(&r, verdict, text, room);
    return verdict;
}

static bool is_inside(cs_str part, cs_str whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

/* Read byte by byte or at once: the same names and values at the same places. */
static void check_places(const struct row *row, const struct http_reply *a,
                         const struct http_reply *b, cs_str bytes)
{
    assert_true(is_inside(a->reason, bytes) && a->reason.p == b->reason.p);
    for (size_t i = 0; i < a->nheaders; i++) {
        const struct http_header *x = &a->headers[i], *y = &b->headers[i];
        assert_true(is_inside(x->name, bytes) && is_inside(x->value, bytes));
        if (x->name.p != y->name.p || x->value.p != y->value.p || x->name.n != y->name.n ||
            x->value.n != y->value.n || x->field != y->field)
            fail_msg("row \"%s\": field %zu is another one", row->label, i);
    }
}

/* Fed byte by byte, each time at another address: with each byte the same answer as in one piece. */
static void check_cuts(const struct row *row)
{
    struct http_limits lim = limits_of(row);
    struct http_header headers[2][MAX_FIELDS];
    struct http_reply r = {.headers = headers[0], .headers_cap = MAX_FIELDS};
    for (size_t n = 1; n <= row->bytes.n; n++) {
        char got[512], want[512], what[64];
        cs_str at = edge_put(&pages[n % 2], (cs_str){row->bytes.p, n});
        long verdict = http_reply_parse(&r, at.p, at.n, &lim);
        describe(&r, verdict, got, sizeof got);
        struct http_reply whole = {.headers = headers[1], .headers_cap = MAX_FIELDS};
        describe(&whole, http_reply_parse(&whole, at.p, at.n, &lim), want, sizeof want);
        snprintf(what, sizeof what, "after %zu bytes one by one", n);
        expect_text(row->label, what, got, want);
        if (n < row->bytes.n && verdict != 0)
            fail_msg("row \"%s\": \"%s\" after %zu of %zu bytes", row->label, got, n, row->bytes.n);
        if (verdict > 0)
            check_places(row, &r, &whole, at);
        if (verdict < 0 && http_reply_parse(&r, at.p, at.n, &lim) != -1)
            fail_msg("row \"%s\": refused, then not", row->label);
    }
}

/* Cut in two at every place. */
static void check_halves(const struct row *row)
{
    struct http_limits lim = limits_of(row);
    struct http_header headers[MAX_FIELDS];
    for (size_t n = 1; n < row->bytes.n; n++) {
        char got[512];
        struct http_reply r = {.headers = headers, .headers_cap = MAX_FIELDS};
        cs_str half = edge_put(&pages[0], (cs_str){row->bytes.p, n});
        assert_int_equal(http_reply_parse(&r, half.p, half.n, &lim), 0);
        cs_str at = edge_put(&pages[1], row->bytes);
        describe(&r, http_reply_parse(&r, at.p, at.n, &lim), got, sizeof got);
        expect_text(row->label, "in two pieces", got, row->answer);
    }
}

static void check_row(const struct row *row, const char *const *tails)
{
    char got[512], longer[512];
    parse_whole(row->bytes, row, got, sizeof got);
    expect_text(row->label, "in one piece", got, row->answer);
    check_cuts(row);
    check_halves(row);
    for (; *tails; tails++) {
        size_t tail = strlen(*tails);
        memcpy(longer, row->bytes.p, row->bytes.n);
        memcpy(longer + row->bytes.n, *tails, tail);
        long verdict = parse_whole((cs_str){longer, row->bytes.n + tail}, row, got, sizeof got);
        expect_text(row->label, "with more behind it", got, row->answer);
        if (verdict > 0)
            assert_int_equal(verdict, row->bytes.n);
    }
}

static const char *const tails[] = {"\r\n\r\n", "\n", "x", OK "\r\n", "\x16\x03", NULL};

static void good_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        check_row(&good[i], tails);
}

static void bad_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_row(&bad[i], tails);
}

static void partial_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(partial); i++)
        check_row(&partial[i], tails + 5);
}

/* Every byte value at places where the grammar names the class. */
static void every_byte(void **state)
{
    static const struct {
        const char *label, *before, *after, *allowed; /* besides letters and digits */
        bool high;
    } places[] = {
        {"reason", "HTTP/1.1 200 O", "K\r\n\r\n", " \t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", true},
        {"name", OK "X", ": 1\r\n\r\n", "!#$%&'*+-.^_`|~:", false},
        {"value", OK "X: a", "b\r\n\r\n", " \t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        for (int c = 0; c < 256; c++) {
            char bytes[128], got[512];
            struct row row = {.label = places[i].label};
            int n = snprintf(bytes, sizeof bytes, "%s_%s", places[i].before, places[i].after);
            bytes[strlen(places[i].before)] = (char)c;
            long verdict = parse_whole((cs_str){bytes, (size_t)n}, &row, got, sizeof got);
            bool letter =
                (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            bool want = letter || (c > 0 && c < 128 && strchr(places[i].allowed, c)) ||
                        (c >= 128 && places[i].high);
            if ((verdict > 0) != want)
                fail_msg("%s with byte 0x%02x: %s", places[i].label, (unsigned)c, got);
        }
}

/* All statuses there could be. */
static void every_status(void **state)
{
    (void)state;
    for (int status = 0; status < 1000; status++) {
        char bytes[32], got[512], want[64];
        struct row row = {.label = "status"};
        int n = snprintf(bytes, sizeof bytes, "HTTP/1.1 %03d\r\n\r\n", status);
        parse_whole((cs_str){bytes, (size_t)n}, &row, got, sizeof got);
        snprintf(want, sizeof want, "%d 1.1 <> fields=0 keep", status);
        expect_text(bytes, "parsed", got, status >= 100 && status < 600 ? want : NO_STATUS);
    }
}

static void fields_are_found(void **state)
{
    static const char bytes[] = OK "X-One: 1\r\nx-one:2 \r\nContent-Length: 3\r\n\r\n";
    struct http_header fields[4];
    struct http_reply r = {.headers = fields, .headers_cap = 4};
    struct http_limits lim = {4096, 0, 8};
    (void)state;
    assert_int_equal(http_reply_parse(&r, bytes, sizeof bytes - 1, &lim), sizeof bytes - 1);
    assert_ptr_equal(http_reply_find(&r, CS_S("X-ONE")), &fields[0]);
    assert_true(str_is(fields[1].value, "2"));
    assert_int_equal(fields[2].field, HTTP_FIELD_CONTENT_LENGTH);
    assert_int_equal(fields[0].field, HTTP_FIELD_OTHER);
    assert_null(http_reply_find(&r, CS_S("X-On")));
}

/* A final head behind an interim one, and one behind one that was refused. */
static void a_reply_can_be_used_again(void **state)
{
    static const char *const before[] = {
        "HTTP/1.0 103 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\nConnection: close\r\nX : y",
    };
    static const char final[] = OK "Content-Length: 5\r\n\r\n";
    struct http_limits lim = {4096, 0, 8};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        char got[512];
        struct http_header fields[4];
        struct http_reply r = {.headers = fields, .headers_cap = 4};
        assert_int_not_equal(http_reply_parse(&r, before[i], strlen(before[i]), &lim), 0);
        http_reply_again(&r);
        describe(&r, http_reply_parse(&r, final, sizeof final - 1, &lim), got, sizeof got);
        expect_text(before[i], "again", got, "200 1.1 <OK> fields=1 length=5 keep");
    }
}

/* Limits are run-time settings: they may shrink below what has been read of a head. */
static void limits_shrink_meanwhile(void **state)
{
    static const char head[] =
        "HTTP/1.1 200 A long reason\r\nA: b\r\nC: d\r\nLong: 01234567\r\n\r\n";
    const struct http_limits lim = {4096, 0, 8};
    (void)state;
    for (size_t n = 1; n < sizeof head - 1; n++)
        for (size_t most = 1; most < n; most++) {
            struct http_header fields[8];
            struct http_reply r = {.headers = fields, .headers_cap = 8};
            const struct http_limits less = {most, 0, most % 3};
            cs_str at = edge_put(&pages[0], (cs_str){head, n});
            assert_int_equal(http_reply_parse(&r, at.p, at.n, &lim), 0);
            at = edge_put(&pages[1], (cs_str){head, n + 1});
            assert_int_equal(http_reply_parse(&r, at.p, at.n, &less), -1);
            assert_non_null(r.error);
        }
}

static int open_pages(void **state)
{
    (void)state;
    pages[0] = edge_open(8192);
    pages[1] = edge_open(8192);
    return 0;
}

static int close_pages(void **state)
{
    (void)state;
    edge_close(&pages[0]);
    edge_close(&pages[1]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads),
        cmocka_unit_test(bad_heads),
        cmocka_unit_test(partial_heads),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(every_status),
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(a_reply_can_be_used_again),
        cmocka_unit_test(limits_shrink_meanwhile),
    };
    int failed = 0;
    for (size_t i = 0; scan_way(i); i++) {
        scan_use(scan_way(i)->name);
        failed += cmocka_run_group_tests_name(scan_way(i)->name, tests, open_pages, close_pages);
    }
    return failed;
}
