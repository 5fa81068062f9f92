/* Chunked bodies and what the decoder must say about them. A row is run in one piece, cut once at
 * every byte, and byte by byte, always flush against an unreadable page. A refused row ends with
 * the byte that makes it wrong. */
#include "http/body.h"

#include "edge.h"

struct row {
    const char *label;
    cs_str bytes;
    const char *answer; /* the body and what it ended with */
};

#define ROW(label, bytes, answer)                                                                  \
    {                                                                                              \
        label, {bytes, sizeof(bytes) - 1}, answer                                                  \
    }

static const struct row rows[] = {
    ROW("empty body", "0\r\n\r\n", "done 5 <>"),
    ROW("one chunk", "5\r\nhello\r\n0\r\n\r\n", "done 15 <hello>"),
    ROW("two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "done 26 <hello world>"),
    ROW("size in capitals", "A\r\n0123456789\r\n0\r\n\r\n", "done 20 <0123456789>"),
    ROW("size in small letters", "a\r\n0123456789\r\n0\r\n\r\n", "done 20 <0123456789>"),
    ROW("leading zeros", "0000000000000001\r\nx\r\n0\r\n\r\n", "done 26 <x>"),
    ROW("sixteen zeros", "0000000000000000\r\n\r\n", "done 20 <>"),
    ROW("what looks like an end is data", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "done 15 <0\r\n\r\n>"),
    ROW("the next request is left", "0\r\n\r\nGET /", "done 5 <>"),
    ROW("extension", "1;a\r\nx\r\n0\r\n\r\n", "done 13 <x>"),
    ROW("extension with a value", "1;a=b\r\nx\r\n0;c=d\r\n\r\n", "done 19 <x>"),
    ROW("extension in quotes", "1;a=\"b;\\\"c\"\r\nx\r\n0\r\n\r\n", "done 21 <x>"),
    ROW("empty quotes", "1;a=\"\"\r\nx\r\n0\r\n\r\n", "done 16 <x>"),
    ROW("several extensions", "1;a;b=c;d=\"e\"\r\nx\r\n0\r\n\r\n", "done 23 <x>"),
    ROW("blanks around extensions", "1 ;\ta =\t b ; c\r\nx\r\n0\r\n\r\n", "done 24 <x>"),
    ROW("blanks behind quotes", "1;a=\"b\" ;c\r\nx\r\n0\r\n\r\n", "done 20 <x>"),
    ROW("trailer", "0\r\nA: b\r\n\r\n", "done 11 <>"),
    ROW("trailers", "1\r\nx\r\n0\r\nA: b\r\nC-D:\t\r\nE:\r\n\r\n", "done 28 <x>"),
    ROW("high bytes in a trailer", "0\r\nA: \xc3\xa4\r\n\r\n", "done 12 <>"),
    ROW("nothing", "", "more 0 <>"),
    ROW("half a size", "1", "more 1 <>"),
    ROW("a size without its LF", "1\r", "more 2 <>"),
    ROW("half the data", "4\r\nab", "more 5 <ab>"),
    ROW("data without its CRLF", "2\r\nab", "more 5 <ab>"),
    ROW("large chunk, little of it", "7fffffffffffffff\r\nab", "more 20 <ab>"),
    ROW("before the last CRLF", "0\r\n", "more 3 <>"),
    ROW("before the last LF", "0\r\n\r", "more 4 <>"),
    ROW("no size", "\r", "400 1 <>"),
    ROW("LF first", "\n", "400 1 <>"),
    ROW("blank before the size", " ", "400 1 <>"),
    ROW("no size, extension", ";", "400 1 <>"),
    ROW("size +1", "+", "400 1 <>"),
    ROW("size -1", "-", "400 1 <>"),
    ROW("size 0x1", "0x", "400 2 <>"),
    ROW("size 1h", "1h", "400 2 <>"),
    ROW("size in quotes", "\"", "400 1 <>"),
    ROW("size with an underscore", "1_", "400 2 <>"),
    ROW("size with a dot", "1.", "400 2 <>"),
    ROW("size with a comma", "1,", "400 2 <>"),
    ROW("size with NUL", "1\0", "400 2 <>"),
    ROW("size with vertical tab", "1\x0b", "400 2 <>"),
    ROW("size with a high byte", "1\xa0", "400 2 <>"),
    ROW("seventeen digits", "00000000000000001", "400 17 <>"),
    ROW("size 2^63", "8000000000000000", "400 16 <>"),
    ROW("size of sixteen f", "ffffffffffffffff", "400 16 <>"),
    ROW("bare LF behind the size", "1\n", "400 2 <>"),
    ROW("bare CR behind the size", "1\rx", "400 3 <>"),
    ROW("CR CR behind the size", "1\r\r", "400 3 <>"),
    ROW("blank behind the size", "1 \r", "400 3 <>"),
    ROW("tab behind the size", "1\t\r", "400 3 <>"),
    ROW("two words for a size", "1 2", "400 3 <>"),
    ROW("body larger than INT64_MAX", "1\r\nx\r\n7fffffffffffffff\r\n", "400 24 <x>"),
    ROW("data longer than the size", "1\r\nxy", "400 5 <x>"),
    ROW("LF behind the data", "1\r\nx\n", "400 5 <x>"),
    ROW("CR without LF behind the data", "1\r\nx\ry", "400 6 <x>"),
    ROW("data shorter than the size", "3\r\nx\r\n0", "400 7 <x\r\n>"),
    ROW("extension without name", "1;\r", "400 3 <>"),
    ROW("extension without name, value", "1;=", "400 3 <>"),
    ROW("two semicolons", "1;;", "400 3 <>"),
    ROW("extension without value", "1;a=\r", "400 5 <>"),
    ROW("extension with two equals", "1;a=b=", "400 6 <>"),
    ROW("extension with a blank at the end", "1;a=b \r", "400 7 <>"),
    ROW("name with a blank at the end", "1;a \r", "400 5 <>"),
    ROW("two names", "1;a b", "400 5 <>"),
    ROW("two values", "1;a=b c", "400 7 <>"),
    ROW("bare LF in an extension", "1;a\n", "400 4 <>"),
    ROW("bare LF in a value", "1;a=b\n", "400 6 <>"),
    ROW("bare CR in an extension", "1;a\rb", "400 5 <>"),
    ROW("LF inside quotes", "1;a=\"\n", "400 6 <>"),
    ROW("CR inside quotes", "1;a=\"\r", "400 6 <>"),
    ROW("escaped LF inside quotes", "1;a=\"\\\n", "400 7 <>"),
    ROW("NUL inside quotes", "1;a=\"\0", "400 6 <>"),
    ROW("text behind quotes", "1;a=\"b\"c", "400 8 <>"),
    ROW("control byte in an extension", "1;a\x01", "400 4 <>"),
    ROW("high byte in an extension", "1;\xc3", "400 3 <>"),
    ROW("bare LF for the last line", "0\r\n\n", "400 4 <>"),
    ROW("bare LF behind the last size", "0\n", "400 2 <>"),
    ROW("CR without LF at the end", "0\r\n\rG", "400 5 <>"),
    ROW("trailer without name", "0\r\n:", "400 4 <>"),
    ROW("trailer without colon", "0\r\nA\r", "400 5 <>"),
    ROW("trailer with a blank before the colon", "0\r\nA ", "400 5 <>"),
    ROW("trailer line folded", "0\r\nA: b\r\n ", "400 10 <>"),
    ROW("first trailer line folded", "0\r\n ", "400 4 <>"),
    ROW("bare LF in a trailer", "0\r\nA: b\n", "400 8 <>"),
    ROW("bare CR in a trailer", "0\r\nA: b\rc", "400 9 <>"),
    ROW("NUL in a trailer", "0\r\nA: \0", "400 7 <>"),
    ROW("a request for a trailer", "0\r\nGET ", "400 7 <>"),
};

struct decoded {
    char body[64];
    size_t n, used;
    int verdict;
};

/* Feeds one piece as a connection does: again until the decoder wants more or has decided. */
static void feed(struct http_chunked *c, struct decoded *d, cs_str piece)
{
    d->verdict = HTTP_CHUNKED_MORE;
    while (d->verdict == HTTP_CHUNKED_MORE || d->verdict == HTTP_CHUNKED_DATA) {
        size_t used;
        cs_str data;
        d->verdict = http_chunked_next(c, piece.p, piece.n, &used, &data);
        assert_true(used <= piece.n);
        if (data.n > 0) {
            assert_int_equal(d->verdict, HTTP_CHUNKED_DATA);
            assert_true(data.p >= piece.p && data.p + data.n <= piece.p + piece.n);
            memcpy(d->body + d->n, data.p, data.n);
            d->n += data.n;
        }
        d->used += used;
        piece = (cs_str){piece.p + used, piece.n - used};
        if (d->verdict == HTTP_CHUNKED_MORE) {
            assert_int_equal(piece.n, 0);
            return;
        }
    }
}

static void describe(const struct decoded *d, const struct http_chunked *c, char *out, size_t room)
{
    const char *word = d->verdict == HTTP_CHUNKED_DONE ? "done" : "more";
    char status[16];
    snprintf(status, sizeof status, "%d", -d->verdict);
    snprintf(out, room, "%s %zu <%.*s>", d->verdict < 0 ? status : word, d->used, (int)d->n,
             d->body);
    assert_int_equal(c->total, d->n);
    assert_true((d->verdict < 0) == (c->error != NULL));
}

static struct edge pages[2];

/* Cuts at `cut`, and from there on into pieces of `step` bytes. */
static void check_cut(const struct row *r, size_t cut, size_t step)
{
    struct http_chunked c = {0};
    struct decoded d = {.verdict = HTTP_CHUNKED_MORE};
    char got[256], what[64];
    size_t at = 0, len = cut;
    for (unsigned i = 0; d.verdict == HTTP_CHUNKED_MORE; i++) {
        feed(&c, &d, edge_put(&pages[i % 2], (cs_str){r->bytes.p + at, len}));
        at += len;
        if (at == r->bytes.n)
            break;
        len = r->bytes.n - at < step ? r->bytes.n - at : step;
    }
    describe(&d, &c, got, sizeof got);
    snprintf(what, sizeof what, "cut at %zu, then every %zu", cut, step);
    expect_text(r->label, what, got, r->answer);
}

static void bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = rows[i].bytes.n;
        for (size_t cut = 0; cut <= n; cut++)
            check_cut(&rows[i], cut, n ? n : 1);
        check_cut(&rows[i], 0, 1);
        check_cut(&rows[i], 0, 2);
        check_cut(&rows[i], 0, 3);
    }
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

/* Every refusal is final, and DONE stays DONE. */
static void the_last_word_stays(void **state)
{
    (void)state;
    struct http_chunked c = {0};
    size_t used;
    cs_str data;
    assert_int_equal(http_chunked_next(&c, "x", 1, &used, &data), -400);
    assert_int_equal(http_chunked_next(&c, "0\r\n\r\n", 5, &used, &data), -400);
    assert_int_equal(used, 0);
    c = (struct http_chunked){0};
    assert_int_equal(http_chunked_next(&c, "0\r\n\r\n", 5, &used, &data), HTTP_CHUNKED_DONE);
    assert_int_equal(http_chunked_next(&c, "5\r\n", 3, &used, &data), HTTP_CHUNKED_DONE);
    assert_int_equal(used, 0);
}

/* Feeds `text` `count` times; returns the last verdict. */
static int repeat(struct http_chunked *c, const char *text, unsigned count)
{
    int verdict = HTTP_CHUNKED_MORE;
    while (count-- > 0 && verdict >= 0 && verdict != HTTP_CHUNKED_DONE) {
        struct decoded d = {.verdict = HTTP_CHUNKED_MORE};
        feed(c, &d, str_of(text));
        verdict = d.verdict;
    }
    return verdict;
}

static void long_lines_are_refused(void **state)
{
    (void)state;
    static const char *const starts[] = {"1;", "1;a=", "1;a=\"", "1 ", "0\r\nA", "0\r\nA:"};
    static const char *const fillers[] = {"a", "a", "a", " ", "A", "a"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct http_chunked c = {0};
        assert_int_equal(repeat(&c, starts[i], 1), HTTP_CHUNKED_MORE);
        assert_int_equal(repeat(&c, fillers[i], HTTP_CHUNKED_MAX_LINE - 5), HTTP_CHUNKED_MORE);
        assert_int_equal(repeat(&c, fillers[i], 6), -431);
    }
}

static void endless_overhead_is_refused(void **state)
{
    (void)state;
    struct http_chunked c = {0};
    assert_int_equal(repeat(&c, "1;a=b\r\nx\r\n", HTTP_CHUNKED_MAX_OVERHEAD), -431);
    c = (struct http_chunked){0};
    assert_int_equal(repeat(&c, "0\r\n", 1), HTTP_CHUNKED_MORE);
    assert_int_equal(repeat(&c, "A: 12345678\r\n", HTTP_CHUNKED_MAX_OVERHEAD), -431);
}

/* A signed chunk of 8 KiB carries 85 bytes of extension; a gigabyte of them must pass. */
static void honest_extensions_pass(void **state)
{
    (void)state;
    static char chunk[8192 + 128];
    struct http_chunked c = {0};
    int head = snprintf(chunk, sizeof chunk, "2000;chunk-signature=%064d\r\n", 0);
    memset(chunk + head, 'x', 8192);
    memcpy(chunk + head + 8192, "\r\n", 3);
    for (int i = 0; i < 131072 / 64; i++) {
        cs_str rest = str_of(chunk), data;
        while (rest.n > 0) {
            size_t used;
            assert_true(http_chunked_next(&c, rest.p, rest.n, &used, &data) >= 0);
            rest = (cs_str){rest.p + used, rest.n - used};
        }
    }
    assert_int_equal(c.total, 8192u * 131072 / 64);
}

static void chunk_heads(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *text;
    } heads[] = {{1, "1\r\n"},         {9, "9\r\n"},
                 {10, "a\r\n"},        {16, "10\r\n"},
                 {255, "ff\r\n"},      {500, "1f4\r\n"},
                 {65536, "10000\r\n"}, {SIZE_MAX, "ffffffffffffffff\r\n"}};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        char out[20];
        size_t n = http_chunk_head(out, heads[i].n);
        if (!str_is((cs_str){out, n}, heads[i].text))
            fail_msg("head of a chunk of %zu bytes: \"%.*s\"", heads[i].n, (int)n, out);
    }
    printf("rows: %zu\n", sizeof heads / sizeof heads[0]);
}

static int open_pages(void **state)
{
    (void)state;
    pages[0] = edge_open(4096);
    pages[1] = edge_open(4096);
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
        cmocka_unit_test(bodies),
        cmocka_unit_test(the_last_word_stays),
        cmocka_unit_test(long_lines_are_refused),
        cmocka_unit_test(endless_overhead_is_refused),
        cmocka_unit_test(honest_extensions_pass),
        cmocka_unit_test(chunk_heads),
    };
    return cmocka_run_group_tests(tests, open_pages, close_pages);
}
