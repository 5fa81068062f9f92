/* Every way to scan against a plain reading of the table of classes: at all alignments, of all lengths around those
 * of a register, between two unreadable pages, with one odd byte at each place, and on field lines that are mutated at random.
 * Under a sanitizer the bytes also lie in a block of just their size. */
#include "http/scan.h"

#include "edge.h"
#include "http/token.h"

#define MOST   200
#define FIELDS 12

static struct {
    char *first; /* first byte that can be read */
    size_t room;
    unsigned long checks;
} page;

/* ---- What must come out ---- */

static size_t run_of(cs_str s, size_t i, unsigned char class)
{
    while (i < s.n && http_is((unsigned char)s.p[i], class))
        i++;
    return i;
}

static size_t lines_of(cs_str s, size_t i, struct http_header *to, size_t room, size_t *taken)
{
    for (*taken = 0; *taken < room; ++*taken) {
        size_t colon = run_of(s, i, HTTP_CLASS_TCHAR);
        if (colon == i || colon == s.n || s.p[colon] != ':')
            return i;
        size_t end = run_of(s, colon + 1, HTTP_CLASS_VALUE);
        if (s.n - end < 2 || memcmp(s.p + end, "\r\n", 2) != 0)
            return i;
        to[*taken].name = (cs_str){s.p + i, colon - i};
        to[*taken].value = str_trim((cs_str){s.p + colon + 1, end - colon - 1});
        i = end + 2;
    }
    return i;
}

static bool is_clean(cs_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_is((unsigned char)s.p[i], HTTP_CLASS_PATH) ||
            (i > 0 && s.p[i - 1] == '/' && (s.p[i] == '/' || s.p[i] == '.')))
            return false;
    return true;
}

/* ---- Comparing ---- */

static bool same_str(cs_str a, cs_str b)
{
    return a.p == b.p && a.n == b.n;
}

static void wrong(const struct scan *way, const char *what, cs_str s, size_t from)
{
    char hex[3 * MOST + 1] = "";
    for (size_t i = 0; i < s.n && i < MOST; i++)
        snprintf(hex + 3 * i, 4, "%02x ", (unsigned char)s.p[i]);
    fail_msg("%s, %s from %zu of %zu bytes at ...%03lx: %s", way->name, what, from, s.n,
             (unsigned long)((uintptr_t)s.p & 0xfff), hex);
}

static void check_fields(const struct scan *way, cs_str s, size_t from)
{
    struct http_header want[FIELDS], got[FIELDS];
    const size_t room = s.n % 5 ? FIELDS : 2;
    size_t nwant, ngot;
    size_t end = lines_of(s, from, want, room, &nwant);
    if (way->fields(s.p, from, s.n, got, room, &ngot) != end || ngot != nwant)
        wrong(way, "fields", s, from);
    for (size_t i = 0; i < nwant; i++)
        if (!same_str(got[i].name, want[i].name) ||
            (want[i].value.n ? !same_str(got[i].value, want[i].value) : got[i].value.n != 0))
            wrong(way, "a field", s, from);
}

static void check_path(const struct scan *way, cs_str s)
{
    char *out = malloc(s.n + 1);
    out[s.n] = 'x';
    bool clean = way->path(s.p, s.n, out);
    if (clean != is_clean(s) || (clean && memcmp(out, s.p, s.n) != 0) || out[s.n] != 'x')
        wrong(way, "path", s, 0);
    free(out);
}

static void check_at(cs_str s, size_t from)
{
    const struct scan *way;
    for (size_t i = 0; (way = scan_way(i)); i++) {
        if (way->value(s.p, from, s.n) != run_of(s, from, HTTP_CLASS_VALUE))
            wrong(way, "value", s, from);
        if (way->target(s.p, from, s.n) != run_of(s, from, HTTP_CLASS_TARGET))
            wrong(way, "target", s, from);
        check_fields(way, s, from);
        if (from == 0)
            check_path(way, s);
        if (from == 0 && way->host(s.p, s.n) != run_of(s, 0, HTTP_CLASS_HOST))
            wrong(way, "host", s, 0);
        page.checks++;
    }
}

/* At the end of what can be read, at its beginning, and in a block of its own. */
static void check_edges(cs_str s, size_t from)
{
    char *last = page.first + page.room - s.n, *own = malloc(s.n ? s.n : 1);
    memcpy(last, s.p, s.n);
    check_at((cs_str){last, s.n}, from);
    memcpy(page.first, s.p, s.n);
    check_at((cs_str){page.first, s.n}, from);
    memcpy(own, s.p, s.n);
    check_at((cs_str){own, s.n}, from);
    free(own);
}

/* ---- Inputs ---- */

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * below >> 32);
}

/* What ends a run is near by, or the other neighbour of what does. */
static const unsigned char odd[] = {0,    '\t', '\n', 0x0b, '\r', 0x1f, ' ',  '!',  '"', '#',
                                    '%',  '.',  '/',  ':',  '?',  '[',  '|',  '}',  '~', 0x7f,
                                    0x80, 0x89, 0x8a, 0x8d, 0x9f, 0xa0, 0xba, 0xe3, 0xff};

static void one_odd_byte(void **state)
{
    (void)state;
    static const char *const fill = "abcdefgh-IJKLMNOPqrstuvwxyz0123456789";
    char bytes[MOST];
    for (size_t i = 0; i < MOST; i++)
        bytes[i] = fill[i % strlen(fill)];
    for (size_t n = 0; n <= 70; n++) {
        check_edges((cs_str){bytes, n}, n / 2);
        for (size_t at = 0; at < n; at++) {
            char kept = bytes[at];
            bytes[at] = (char)odd[(n * 7 + at) % sizeof odd];
            check_edges((cs_str){bytes, n}, 0);
            check_edges((cs_str){bytes, n}, at / 2);
            bytes[at] = kept;
        }
    }
}

static void every_byte(void **state)
{
    (void)state;
    char bytes[67];
    for (unsigned c = 0; c < 256; c++)
        for (size_t at = 0; at < sizeof bytes; at += 3) {
            memset(bytes, 'a', sizeof bytes);
            bytes[at] = (char)c;
            check_edges((cs_str){bytes, sizeof bytes}, at % 4);
        }
}

static void every_alignment(void **state)
{
    (void)state;
    static const char lines[] = "Host: a\r\nX:\r\nAccept-Language: de, "
                                "en\r\nX-Long-Name-Of-A-Field-That-Goes-On: \t b \t\r\n"
                                "Cookie: 0123456789012345678901234567890123456789; b\tc\r\n\r\n";
    for (size_t shift = 0; shift < 64; shift++)
        for (size_t n = 0; n < sizeof lines; n++) {
            char *at = page.first + 256 + shift;
            memcpy(at, lines, n);
            check_at((cs_str){at, n}, 0);
        }
}

static size_t put(char *to, size_t n, const char *s)
{
    size_t len = strlen(s);
    memcpy(to + n, s, len);
    return n + len;
}

static size_t draw_text(char *to, size_t n, const char *letters, uint32_t most)
{
    for (uint32_t k = draw(most); k > 0; k--)
        to[n++] = letters[draw((uint32_t)strlen(letters))];
    return n;
}

static size_t draw_lines(char *to)
{
    size_t n = 0;
    for (uint32_t k = draw(5); k > 0; k--) {
        n = draw_text(to, n, "aZ-_0~", draw(6) ? 12 : 40);
        n = put(to, n, draw(20) ? ":" : "");
        n = draw_text(to, n, " \t", 3);
        n = draw_text(to, n, "ab \t/:;=\x80\xff", draw(4) ? 20 : 70);
        n = put(to, n, draw(20) ? "\r\n" : "\n");
    }
    return put(to, n, draw(4) ? "\r\n" : "GET /");
}

static void mutated_lines(void **state)
{
    (void)state;
    char bytes[1024];
    for (int round = 0; round < 20000; round++) {
        size_t n = draw_lines(bytes);
        for (uint32_t k = draw(4); k > 0; k--)
            bytes[draw((uint32_t)n)] = (char)(draw(2) ? odd[draw(sizeof odd)] : draw(256));
        n -= draw(4) ? 0 : draw((uint32_t)n);
        check_edges((cs_str){bytes, n}, draw(4) ? 0 : draw((uint32_t)n + 1));
    }
}

static void mutated_paths(void **state)
{
    (void)state;
    char bytes[128];
    for (int round = 0; round < 20000; round++) {
        size_t n = draw_text(bytes, 0, "/abc.-", 90);
        for (size_t i = 1; i < n; i++) /* else hardly one would be clean */
            if (bytes[i - 1] == '/' && (bytes[i] == '/' || bytes[i] == '.') && draw(40))
                bytes[i] = 'x';
        if (n && !draw(4))
            bytes[draw((uint32_t)n)] = (char)odd[draw(sizeof odd)];
        check_edges((cs_str){bytes, n}, 0);
    }
}

static void ways_by_name(void **state)
{
    (void)state;
    const struct scan *chosen = scan_now;
    assert_string_equal(scan_way(0)->name, "plain");
    for (size_t i = 0; scan_way(i); i++) {
        assert_true(scan_use(scan_way(i)->name));
        assert_ptr_equal(scan_now, scan_way(i));
    }
    scan_now = chosen;
    assert_false(scan_use("sse9"));
    assert_ptr_equal(scan_now, chosen);
}

static int open_page(void **state)
{
    (void)state;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    char *all = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(all + size, size, PROT_READ | PROT_WRITE) < 0)
        abort();
    page.first = all + size;
    page.room = size;
    return 0;
}

static int close_page(void **state)
{
    (void)state;
    for (size_t i = 0; scan_way(i); i++)
        printf("%s%s", i ? ", " : "ways: ", scan_way(i)->name);
    printf("\ncomparisons: %lu\n", page.checks);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_odd_byte),    cmocka_unit_test(every_byte),
        cmocka_unit_test(mutated_lines),   cmocka_unit_test(mutated_paths),
        cmocka_unit_test(every_alignment), cmocka_unit_test(ways_by_name),
    };
    return cmocka_run_group_tests(tests, open_page, close_page);
}
