/* mutate.c - random and mutated requests through the head parser and the chunk decoder.
 *
 *     mutate COUNT [SEED]
 *
 * Each request goes through in one piece, byte by byte, and cut in two at every place; the answers
 * must be identical. The bytes that have not arrived yet are poisoned under ASan, and the buffer
 * changes with every call, so reading too far and keeping an old pointer are seen too. Ends with 1
 * at the first difference and prints the request. */
#include "base/check.h"
#include "http/body.h"
#include "http/head.h"

#include <stdio.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define ROOM   4096
#define FIELDS 40

/* ---- Chance ---- */

static uint64_t seed;

static uint32_t chance(uint32_t below)
{
    seed += 0x9e3779b97f4a7c15u;
    uint64_t x = seed;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((x ^ (x >> 31)) >> 32) % below;
}

#define ANY(list) list[chance(ARRAY_LEN(list))]

/* ---- Making a request ---- */

struct text {
    char p[ROOM];
    size_t n;
};

static void add(struct text *t, const char *p, size_t n)
{
    if (n > ROOM - t->n)
        n = ROOM - t->n;
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void add_z(struct text *t, const char *z)
{
    add(t, z, strlen(z));
}

static const char *const methods[] = {"GET",  "GET",     "GET",   "POST",   "POST",
                                      "HEAD", "PUT",     "PATCH", "DELETE", "OPTIONS",
                                      "PRI",  "CONNECT", "get",   "X!#",    ""};
static const char *const targets[] = {"/",          "/a/b?c=d",       "/%2e%2e/x",      "*",
                                      "http://a/b", "http://a:80?x",  "https://[::1]/", "a:443",
                                      "//x",        "http://u@a/",    "/a#b",           "/a b",
                                      "",           "/0123456789abc", "http:///x"};
static const char *const versions[] = {"HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0",
                                       "HTTP/1.2", "HTTP/2.0", "HTTP/1",   "http/1.1", "HTTP/1.1 "};
static const char *const plain[] = {
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Accept: text/html,*/*;q=0.8",
    "Connection: keep-alive",
    "Connection: close",
    "connection: x, Close",
    "Cookie: a=b; c=0123456789012345678901234567890123456789",
    "Range: bytes=0-1,5-",
    "If-None-Match: \"a\", W/\"b\"",
    "Expect: 100-continue",
    "X-Tab:\ta\tb\t",
    "X-Empty:",
    "X-High: \xc3\xa4\xff",
    "Referer: http://a/b?c#d",
    "Accept-Encoding: gzip, br"};
static const char *const framing[] = {"Content-Length: 5",
                                      "Content-Length: 0",
                                      "content-length:5",
                                      "Content-Length: 05",
                                      "Content-Length: +5",
                                      "Content-Length: 5, 5",
                                      "Content-Length: 0x5",
                                      "Content-Length:",
                                      "Content-Length: 9223372036854775808",
                                      "Content-Length : 5",
                                      "Content-Length\t: 5",
                                      "Transfer-Encoding: chunked",
                                      "Transfer-Encoding: Chunked",
                                      "transfer-encoding:chunked",
                                      "Transfer-Encoding: gzip, chunked",
                                      "Transfer-Encoding: chunked, identity",
                                      "Transfer-Encoding: identity",
                                      "Transfer-Encoding: xchunked",
                                      "Transfer-Encoding : chunked",
                                      "Transfer-Encoding: \013chunked",
                                      "Transfer-Encoding:\r\n chunked",
                                      " Content-Length: 5",
                                      "X: y\rTransfer-Encoding: chunked",
                                      "X: y\nContent-Length: 5",
                                      "Host: a",
                                      "Host: b c",
                                      "Host: a:81",
                                      "Host:",
                                      "Host : a",
                                      "Expect: x",
                                      "Trailer: X"};

static void add_line_end(struct text *t)
{
    static const char *const odd[] = {"\n", "\r", "\r\r\n", "\n\r", " \r\n", "\r\n "};
    add_z(t, chance(200) ? "\r\n" : ANY(odd));
}

static void add_head(struct text *t, const char *main_framing)
{
    for (uint32_t i = chance(40) ? 0 : chance(4); i > 0; i--)
        add_z(t, "\r\n");
    add_z(t, chance(8) ? methods[chance(7)] : ANY(methods));
    add_z(t, chance(100) ? " " : "  ");
    add_z(t, chance(6) ? targets[chance(2)] : ANY(targets));
    add_z(t, chance(100) ? " " : "\t");
    add_z(t, chance(10) ? "HTTP/1.1" : ANY(versions));
    add_line_end(t);
    if (chance(25)) {
        add_z(t, chance(2) ? "Host: a" : "host: www.example.com:8080");
        add_line_end(t);
    }
    uint32_t fields = chance(100) ? chance(8) : chance(60);
    for (uint32_t i = 0, at = chance(fields + 1); i <= fields; i++) {
        if (i == at && main_framing) {
            add_z(t, main_framing);
            add_line_end(t);
        }
        if (i < fields) {
            add_z(t, chance(25) ? ANY(plain) : ANY(framing));
            add_line_end(t);
        }
    }
    add_z(t, "\r\n");
}

static void add_chunked(struct text *t)
{
    static const char *const extensions[] = {
        "",  ";a",      ";a=b",        " ; a = b", ";a=\"b;\\\"\"", ";",
        " ", ";a=b ;c", ";a=\"\r\n\"", ";a\n",     ";a=b;c;d=e"};
    static const char *const trailers[] = {"X: y\r\n", "Y:\r\n",         "X : y\r\n",
                                           "X\r\n",    "X: y\r\n z\r\n", "X: y\n"};
    static const char *const zeros[] = {"0", "000", "00000000000000000", "0x", "+", " "};
    char size[32];
    for (uint32_t i = chance(5); i > 0; i--) {
        uint32_t n = 1 + chance(chance(10) ? 20 : 200);
        uint32_t written = n + (chance(40) == 0);
        add_z(t, chance(20) ? "" : ANY(zeros));
        snprintf(size, sizeof size, chance(2) ? "%x" : "%X", written);
        add_z(t, size);
        add_z(t, chance(8) ? "" : ANY(extensions));
        add_line_end(t);
        for (; n > 0; n--)
            add_z(t, chance(8) ? "x" : "\r");
        add_line_end(t);
    }
    add_z(t, "0");
    add_z(t, chance(8) ? "" : ANY(extensions));
    add_line_end(t);
    while (chance(4) == 0)
        add_z(t, chance(2) ? "X: y\r\n" : ANY(trailers));
    add_line_end(t);
}

static void make_request(struct text *t)
{
    static const char *const hello = "hello, world";
    t->n = 0;
    switch (chance(3)) {
    case 0:
        add_head(t, NULL);
        break;
    case 1:
        add_head(t, "Content-Length: 12");
        add_z(t, hello);
        break;
    default:
        add_head(t, "Transfer-Encoding: chunked");
        add_chunked(t);
    }
    if (chance(4) == 0)
        add_z(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* ---- Spoiling it ---- */

/* Puts `with` in the place of n bytes at `at`. */
static void splice(struct text *t, size_t at, size_t n, const char *with, size_t len)
{
    struct text copy = *t;
    if (at > copy.n)
        at = copy.n;
    if (n > copy.n - at)
        n = copy.n - at;
    t->n = at;
    add(t, with, len);
    add(t, copy.p + at + n, copy.n - at - n);
}

static size_t place(const struct text *t)
{
    return chance((uint32_t)t->n + 1);
}

static void mutate(struct text *t, const struct text *other)
{
    static const char odd[] = "\r\n\t \0\x0b\x0c\x7f\x80\xff:;,=\"\\#%?/+-0axX";
    static const char *const words[] = {"\r\n",        "\n",
                                        "\r\n\r\n",    "\r\n ",
                                        "chunked",     "Content-Length: 5\r\n",
                                        "Host: b\r\n", "Transfer-Encoding: chunked\r\n",
                                        "HTTP/1.1",    "0\r\n\r\n"};
    char byte = odd[chance(sizeof odd - 1)];
    const char *word = ANY(words);
    size_t at = place(t), from = place(other), len = chance(40);
    switch (chance(7)) {
    case 0:
        splice(t, at, 1, &byte, 1);
        break;
    case 1:
        splice(t, at, 0, &byte, 1);
        break;
    case 2:
        byte = (char)chance(256);
        splice(t, at, 1, &byte, 1);
        break;
    case 3:
        splice(t, at, 1 + chance(4), "", 0);
        break;
    case 4:
        splice(t, at, 0, word, strlen(word));
        break;
    case 5: /* a piece of another request */
        if (len > other->n - from)
            len = other->n - from;
        splice(t, at, chance(10), other->p + from, len);
        break;
    default:
        if (chance(8) == 0)
            t->n = at;
    }
}

/* ---- Running it ---- */

/* The bytes of a request as they arrive: only the first `there` may be read. */
struct buffer {
    char *p;
    size_t there;
};

static void arrive(struct buffer *b, size_t n)
{
    ASAN_UNPOISON_MEMORY_REGION(b->p + b->there, n - b->there);
    b->there = n;
}

static void fill(struct buffer *b, const struct text *t)
{
    ASAN_UNPOISON_MEMORY_REGION(b->p, ROOM);
    memcpy(b->p, t->p, t->n);
    ASAN_POISON_MEMORY_REGION(b->p, ROOM);
    b->there = 0;
}

/* Nothing has arrived yet. */
static void take_back(struct buffer *b)
{
    ASAN_POISON_MEMORY_REGION(b->p, b->there);
    b->there = 0;
}

struct result {
    struct http_header fields[FIELDS];
    struct http_head head;
    const char *base;
    long verdict;
    int body;
    size_t decided; /* bytes that were there when the head was decided */
    size_t used, n; /* of the chunked body: coded and decoded */
    uint64_t sum;   /* of the decoded bytes: each times its place */
};

/* Cuts: everything at once, at each byte, or at one place. */
struct cut {
    size_t first, step;
};

static size_t next_stop(struct cut c, size_t now, size_t n)
{
    size_t stop = now < c.first ? c.first : now + c.step;
    return stop < n ? stop : n;
}

static void decode(struct result *r, struct buffer *b, size_t n, struct cut cut)
{
    struct http_chunked c = {0};
    size_t at = r->decided, stop = at;
    while (r->body == HTTP_CHUNKED_MORE && stop < n) {
        stop = next_stop(cut, stop, n);
        arrive(b, stop > b->there ? stop : b->there);
        do {
            size_t used;
            cs_str data;
            r->body = http_chunked_next(&c, b->p + at, stop - at, &used, &data);
            for (size_t i = 0; i < data.n; i++)
                r->sum += ++r->n * (unsigned char)data.p[i];
            at += used;
        } while (r->body == HTTP_CHUNKED_DATA);
    }
    r->used = at - r->decided;
}

static void run(struct result *r, struct buffer buffers[2], const struct text *t, struct cut cut)
{
    static const struct http_limits lim = {2048, 512, 32};
    r->head = (struct http_head){.headers = r->fields, .headers_cap = FIELDS};
    r->verdict = r->body = 0;
    r->decided = r->used = r->n = 0;
    r->sum = 0;
    take_back(&buffers[0]);
    take_back(&buffers[1]);
    struct buffer *b = &buffers[0];
    for (size_t stop = 0, turn = 0; stop < t->n && r->verdict == 0; turn++) {
        stop = next_stop(cut, stop, t->n);
        b = &buffers[turn % 2];
        arrive(b, stop);
        r->verdict = http_head_parse(&r->head, b->p, stop, &lim);
        r->decided = stop;
    }
    r->base = b->p;
    if (r->verdict > 0)
        r->decided = (size_t)r->verdict;
    if (r->verdict > 0 && r->head.chunked)
        decode(r, b, t->n, cut);
}

/* ---- Comparing ---- */

static bool same_text(const struct result *a, cs_str x, const struct result *b, cs_str y)
{
    if (x.n != y.n || (x.p == NULL) != (y.p == NULL))
        return false;
    if (!x.p)
        return true;
    bool inside = x.p >= a->base && x.p <= a->base + ROOM;
    return inside ? x.p - a->base == y.p - b->base : str_eq(x, y);
}

static bool same_head(const struct result *a, const struct result *b)
{
    const struct http_head *x = &a->head, *y = &b->head;
    bool same =
        x->method == y->method && x->form == y->form && x->minor == y->minor &&
        x->port == y->port && x->content_length == y->content_length && x->chunked == y->chunked &&
        x->keep_alive == y->keep_alive && x->expect_continue == y->expect_continue &&
        x->nheaders == y->nheaders && same_text(a, x->method_text, b, y->method_text) &&
        same_text(a, x->target, b, y->target) && same_text(a, x->target_path, b, y->target_path) &&
        same_text(a, x->target_query, b, y->target_query) && same_text(a, x->host, b, y->host);
    for (size_t i = 0; same && i < x->nheaders; i++)
        same = a->fields[i].field == b->fields[i].field &&
               same_text(a, a->fields[i].name, b, b->fields[i].name) &&
               same_text(a, a->fields[i].value, b, b->fields[i].value);
    for (size_t i = 0; same && i < HTTP_FIELD_COUNT; i++)
        same = x->field[i] ? y->field[i] && x->field[i] - a->fields == y->field[i] - b->fields
                           : !y->field[i];
    return same;
}

static bool same(const struct result *a, const struct result *b)
{
    if (a->verdict != b->verdict)
        return false;
    if (a->verdict <= 0)
        return true;
    return a->body == b->body && a->used == b->used && a->n == b->n && a->sum == b->sum &&
           same_head(a, b);
}

static void print_difference(const struct text *t, const char *how, const struct result *a,
                             const struct result *b)
{
    printf("%s: head %ld body %d, in one piece: head %ld body %d\n\"", how, b->verdict, b->body,
           a->verdict, a->body);
    for (size_t i = 0; i < t->n; i++) {
        unsigned char c = (unsigned char)t->p[i];
        printf(c >= ' ' && c < 0x7f && c != '"' && c != '\\' ? "%c" : "\\%03o", c);
    }
    printf("\"\n");
}

/* Runs the request again in all the ways to cut it. */
static bool same_when_cut(const struct result *whole, struct buffer buffers[2],
                          const struct text *t)
{
    static struct result cut;
    run(&cut, buffers, t, (struct cut){1, 1});
    if (!same(whole, &cut)) {
        print_difference(t, "byte by byte", whole, &cut);
        return false;
    }
    size_t end = cut.decided + cut.used; /* what comes behind it is never looked at */
    for (size_t first = 1; first <= end; first++) {
        run(&cut, buffers, t, (struct cut){first, t->n});
        if (!same(whole, &cut)) {
            print_difference(t, "in two pieces", whole, &cut);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct text t, other;
    static struct result whole;
    static _Alignas(16) char room[2][ROOM];
    uint64_t count, number = 1, accepted = 0, refused = 0;
    if (argc < 2 || argc > 3 || !str_to_u64(str_of(argv[1]), UINT64_MAX, &count) ||
        (argc == 3 && !str_to_u64(str_of(argv[2]), UINT64_MAX, &number))) {
        fprintf(stderr, "usage: mutate COUNT [SEED]\n");
        return 2;
    }
    seed = number;
    struct buffer buffers[2] = {{room[0], 0}, {room[1], 0}};
    for (uint64_t i = 0; i < count; i++) {
        other = t;
        make_request(&t);
        for (uint32_t k = chance(2) ? chance(4) : 0; k > 0; k--)
            mutate(&t, &other);
        fill(&buffers[0], &t);
        fill(&buffers[1], &t);
        run(&whole, buffers, &t, (struct cut){t.n, 1});
        if (!same_when_cut(&whole, buffers, &t))
            return 1;
        refused += whole.verdict < 0 || whole.body < 0;
        accepted += whole.verdict > 0 && (!whole.head.chunked || whole.body == HTTP_CHUNKED_DONE);
    }
    printf("requests %llu, accepted %llu, refused %llu, 0 differences\n", (unsigned long long)count,
           (unsigned long long)accepted, (unsigned long long)refused);
    return 0;
}
