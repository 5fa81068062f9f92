/* Field lines, one at a time: in one piece, cut once at every byte, and byte by byte, at changing addresses and flush against an
 * unreadable page. A line that is wrong is so with the last byte of its row. Whole heads are in head_test.c and reply_test.c. */
#include "http/field.h"

#include "base/check.h"
#include "http/scan.h"

#include "edge.h"

struct row {
    const char *label;
    cs_str bytes;
    const char *answer; /* <name> <value> and where the next line begins, or what it says */
    bool full;          /* no room */
};

#define ROW(label, bytes, answer)                                                                  \
    {                                                                                              \
        label, {bytes, sizeof(bytes) - 1}, answer, false                                           \
    }
#define FULL(label, bytes, answer)                                                                 \
    {                                                                                              \
        label, {bytes, sizeof(bytes) - 1}, answer, true                                            \
    }

#define BAD_NAME  "a field name is empty or has a byte it may not have"
#define BAD_VALUE "a field value has a control byte"
#define BARE_LF   "a line ends with LF instead of CRLF"
#define BARE_CR   "a CR without LF"
#define FOLDED    "a field line starts with a blank (obs-fold)"

static const struct row rows[] = {
    ROW("usual", "A: b\r\n", "<A> <b> 6"),
    ROW("no blank", "A:b\r\n", "<A> <b> 5"),
    ROW("blanks around", "A: \t b c\t \r\n", "<A> <b c> 12"),
    ROW("no value", "A:\r\n", "<A> <> 4"),
    ROW("value of blanks", "A: \t\r\n", "<A> <> 6"),
    ROW("colons", "A::b:\r\n", "<A> <:b:> 7"),
    ROW("high bytes", "A: \x80\xff\r\n", "<A> <\x80\xff> 7"),
    ROW("odd name", "!#$%&'*+-.^_`|~: 1\r\n", "<!#$%&'*+-.^_`|~> <1> 20"),
    ROW("long value", "Name: 0123456789012345678901234567890123456789\r\n",
        "<Name> <0123456789012345678901234567890123456789> 48"),
    ROW("nothing", "", "more"),
    ROW("a name", "Na", "more"),
    ROW("a name and its colon", "Na:", "more"),
    ROW("a value", "Na: v", "more"),
    ROW("a value and CR", "Na: v\r", "more"),
    ROW("the CR of an empty line", "\r", "more"),
    ROW("CR and something else", "\rA", BARE_CR),
    ROW("LF first", "\n", BARE_LF),
    ROW("blank first", " ", FOLDED),
    ROW("tab first", "\t", FOLDED),
    ROW("no name", ":", BAD_NAME),
    ROW("blank before the colon", "A ", BAD_NAME),
    ROW("NUL in the name", "A\0", BAD_NAME),
    ROW("high byte in the name", "A\x80", BAD_NAME),
    ROW("LF behind the name", "A\n", BARE_LF),
    ROW("CR behind the name", "A\r", BARE_CR),
    ROW("LF behind the value", "A: b\n", BARE_LF),
    ROW("CR in the value", "A: b\rc", BARE_CR),
    ROW("NUL in the value", "A: b\0", BAD_VALUE),
    ROW("DEL in the value", "A: b\x7f", BAD_VALUE),
    FULL("no room", "A", "full"),
    FULL("no room and no line", "", "more"),
    FULL("no room, CR", "\r", "more"),
    FULL("no room, a blank", " ", FOLDED),
};

static struct edge pages[2];

struct reader {
    struct field_place at;
    struct http_header field;
    const char *error;
    int verdict;
};

#define BEFORE 7 /* bytes of other lines */

/* The first n bytes of the row have come, behind some of others. */
static cs_str feed(struct reader *r, const struct row *row, size_t n)
{
    char bytes[128] = "X: y\r\n\n";
    memcpy(bytes + BEFORE, row->bytes.p, n);
    cs_str all = edge_put(&pages[n % 2], (cs_str){bytes, BEFORE + n});
    r->verdict = field_next(&r->at, all.p, all.n, row->full ? NULL : &r->field, &r->error);
    return all;
}

static void expect(const struct reader *r, const struct row *row, const char *how)
{
    char got[256];
    switch (r->verdict) {
    case FIELD_LINE:
        snprintf(got, sizeof got, "<%.*s> <%.*s> %zu", CS_F(r->field.name), CS_F(r->field.value),
                 r->at.line - BEFORE);
        assert_true(r->at.scanned == r->at.line && r->at.colon == 0);
        break;
    case FIELD_WRONG:
        snprintf(got, sizeof got, "%s", r->error);
        break;
    default:
        snprintf(got, sizeof got, "%s", r->verdict == FIELD_FULL ? "full" : "more");
    }
    expect_text(row->label, how, got, row->answer);
}

static struct reader fresh(void)
{
    return (struct reader){.at = {.line = BEFORE, .scanned = BEFORE}};
}

static void check_row(const struct row *row)
{
    struct reader r = fresh();
    feed(&r, row, row->bytes.n);
    expect(&r, row, "in one piece");
    for (size_t cut = 0; cut < row->bytes.n; cut++) {
        r = fresh();
        feed(&r, row, cut);
        if (r.verdict != FIELD_MORE)
            fail_msg("row \"%s\": decided after %zu bytes", row->label, cut);
        feed(&r, row, row->bytes.n);
        expect(&r, row, "in two pieces");
    }
    r = fresh();
    for (size_t n = 0; n <= row->bytes.n; n++) {
        cs_str all = feed(&r, row, n);
        assert_true(r.verdict != FIELD_LINE || r.field.name.p == all.p + BEFORE);
    }
    expect(&r, row, "byte by byte");
}

static void lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void the_empty_line(void **state)
{
    (void)state;
    cs_str s = edge_put(&pages[0], CS_S("A: b\r\n\r\n"));
    for (size_t n = 0; n <= s.n; n++) {
        cs_str at = edge_put(&pages[1], (cs_str){s.p, n});
        for (size_t line = 0; line <= n; line++)
            assert_true(field_is_end(at.p, line, n) ==
                        ((line == 4 && n >= 6) || (line == 6 && n == 8)));
    }
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
        cmocka_unit_test(lines),
        cmocka_unit_test(the_empty_line),
    };
    int failed = 0;
    for (size_t i = 0; scan_way(i); i++) {
        scan_use(scan_way(i)->name);
        failed += cmocka_run_group_tests_name(scan_way(i)->name, tests, open_pages, close_pages);
    }
    return failed;
}
