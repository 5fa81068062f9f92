/* reply_fuzz.c - a byte that chooses, then any bytes as what comes behind a request: heads of 1xx responses, the final one, its body,
 * the end of the connection. The same facts however it is cut and wherever it lies, and with each way to scan; the parser of requests
 * finds the same fields and framing behind a request line. */
#include "http/reply_body.h"
#include "http/scan.h"
#include "http/token.h"

#include "input.h"

#include <stdlib.h>

#define MAX_FIELDS  12
#define MAX_INTERIM 4
static const struct http_limits limits = {1024, 0, 10};

struct facts {
    long head; /* what the parser said last */
    int body, end;
    size_t used, n, heads; /* bytes of heads and body; of the body; number of heads */
    uint64_t sum;          /* of all that was found: each byte times its place */
    const char *error;
};

/* How it comes. */
struct way {
    size_t step;
    bool moves; /* to another address with each piece, a block of just its size */
    bool to_head;
};

struct reader {
    struct way way;
    cs_str all;
    struct http_header fields[MAX_FIELDS];
    struct http_reply reply;
    struct http_reply_body body;
    char *block;
    struct facts facts;
};

static void add_sum(struct facts *f, cs_str s)
{
    for (size_t i = 0; i < s.n; i++)
        f->sum += (f->used + i + 1) * (unsigned char)s.p[i];
    f->sum = f->sum * 31 + s.n;
}

/* The n bytes from `at` on. */
static cs_str show(struct reader *r, size_t at, size_t n)
{
    cs_str piece = {r->all.p + at, n};
    if (!r->way.moves)
        return piece;
    char *block = malloc(n ? n : 1);
    check(block);
    if (n)
        memcpy(block, piece.p, n);
    free(r->block);
    r->block = block;
    return (cs_str){block, n};
}

static void check_head(const struct http_reply *h, cs_str bytes)
{
    check(bytes.n >= 16 && memcmp(bytes.p + bytes.n - 4, "\r\n\r\n", 4) == 0);
    check(h->status >= 100 && h->status <= 599 && is_within(h->reason, bytes));
    check(!(h->chunked && h->content_length >= 0) && h->content_length >= -1);
    check(h->nheaders <= limits.max_headers && !h->error);
    for (size_t i = 0; i < h->nheaders; i++) {
        const struct http_header *f = &h->headers[i];
        check(is_within(f->name, bytes) && is_within(f->value, bytes));
        check(http_is_token(f->name) && http_is_field_value(f->value));
        check(f->field == http_field_of(f->name));
        check(str_eq(f->value, str_trim(f->value)));
    }
}

static void add_head(struct facts *f, const struct http_reply *h)
{
    f->sum = f->sum * 31 + (uint64_t)h->status * 8 + (uint64_t)(h->minor * 4) +
             (uint64_t)(h->chunked * 2) + h->keep_alive;
    f->sum = f->sum * 31 + (uint64_t)h->content_length;
    add_sum(f, h->reason);
    for (size_t i = 0; i < h->nheaders; i++) {
        add_sum(f, h->headers[i].name);
        add_sum(f, h->headers[i].value);
    }
}

/* One head from facts.used on: true when it is whole. */
static bool read_head(struct reader *r)
{
    struct facts *f = &r->facts;
    size_t left = r->all.n - f->used, n = 0;
    cs_str bytes = {NULL, 0};
    http_reply_again(&r->reply);
    for (f->head = 0; f->head == 0 && n < left;) {
        n = left - n < r->way.step ? left : n + r->way.step;
        bytes = show(r, f->used, n);
        f->head = http_reply_parse(&r->reply, bytes.p, n, &limits);
    }
    f->error = r->reply.error;
    check((f->head < 0) == (n > 0 && f->error != NULL));
    check(f->head >= 0 || http_reply_parse(&r->reply, bytes.p, n, &limits) == -1);
    check(f->head != 0 || left < limits.max_head);
    if (f->head <= 0)
        return false;
    check((size_t)f->head <= n && n - (size_t)f->head < r->way.step);
    check_head(&r->reply, (cs_str){bytes.p, (size_t)f->head});
    add_head(f, &r->reply);
    f->used += (size_t)f->head;
    f->heads++;
    return true;
}

static void take(struct reader *r, cs_str piece)
{
    struct facts *f = &r->facts;
    do {
        size_t used;
        cs_str data;
        f->body = http_reply_body_next(&r->body, piece.p, piece.n, &used, &data);
        check(used <= piece.n && data.n <= used);
        check((data.n > 0) == (f->body == HTTP_CHUNKED_DATA));
        check(!data.n || is_within(data, piece));
        for (size_t i = 0; i < data.n; i++)
            f->sum += ++f->n * (unsigned char)data.p[i];
        f->used += used;
        piece = (cs_str){piece.p + used, piece.n - used};
    } while (f->body == HTTP_CHUNKED_DATA);
    check(f->body != HTTP_CHUNKED_MORE || !piece.n);
}

static void read_body(struct reader *r)
{
    struct facts *f = &r->facts;
    http_reply_body_begin(&r->body, &r->reply, r->way.to_head);
    int64_t length = http_reply_body_length(&r->body);
    bool keeps = http_reply_body_keeps(&r->body);
    int status = r->reply.status;
    if (r->way.to_head || status < 200 || status == 204 || status == 304)
        check(length == 0);
    take(r, show(r, f->used, 0));
    while (f->body == HTTP_CHUNKED_MORE && f->used < r->all.n) {
        size_t left = r->all.n - f->used;
        take(r, show(r, f->used, left < r->way.step ? left : r->way.step));
    }
    f->end = http_reply_body_end(&r->body);
    f->error = r->body.error;
    check(length < 0 || f->n <= (uint64_t)length);
    check((f->end == 0) == (f->error == NULL) && (f->body >= 0 || f->end < 0));
    check(f->body != HTTP_CHUNKED_DONE ||
          (f->end == 0 && (length < 0 || f->n == (uint64_t)length)));
    check(http_reply_body_keeps(&r->body) == (keeps && f->end == 0));
    check(!keeps || r->reply.keep_alive);
    check(!keeps || f->end < 0 || f->body == HTTP_CHUNKED_DONE);
}

static struct facts read_all(cs_str all, struct way way)
{
    struct reader r = {.way = way, .all = all, .facts = {.end = 1}};
    r.reply = (struct http_reply){.headers = r.fields, .headers_cap = MAX_FIELDS};
    while (read_head(&r) && r.reply.status < 200 && r.facts.heads < MAX_INTERIM)
        continue;
    if (r.facts.head > 0)
        read_body(&r);
    free(r.block);
    return r.facts;
}

static void check_same(const struct facts *a, const struct facts *b)
{
    check(a->head == b->head && a->body == b->body && a->end == b->end && a->used == b->used);
    check(a->n == b->n && a->heads == b->heads && a->sum == b->sum && a->error == b->error);
}

/* ---- The other reader ---- */

/* What only requests have. */
static bool is_refused_otherwise(long verdict, const char *error)
{
    return verdict == -417 || (verdict < 0 && (strcmp(error, "more than one Host") == 0));
}

static void check_fields(const struct http_reply *r, const struct http_head *h)
{
    check(h->chunked == r->chunked && h->content_length == r->content_length);
    check(h->keep_alive == r->keep_alive || (r->status == 204 && !r->keep_alive));
    check(h->nheaders == r->nheaders + 1);
    for (size_t i = 0; i < r->nheaders; i++)
        check(str_eq(h->headers[i + 1].name, r->headers[i].name) &&
              str_eq(h->headers[i + 1].value, r->headers[i].value));
}

/* A request line and a Host instead of the status line. */
static void check_request(cs_str all)
{
    struct http_header fields[2][MAX_FIELDS + 1];
    struct http_reply r = {.headers = fields[0], .headers_cap = MAX_FIELDS};
    struct http_head h = {.headers = fields[1], .headers_cap = MAX_FIELDS + 1};
    struct buf b = {0};
    const char *end = all.n ? memchr(all.p, '\n', all.n) : NULL;
    size_t line = end ? (size_t)(end - all.p) + 1 : 0;
    if (!end || line > limits.max_head - 1 || http_reply_parse(&r, all.p, line, &limits) != 0)
        return;
    long verdict = http_reply_parse(&r, all.p, all.n, &limits);
    buf_add_z(&b, r.minor ? "POST / HTTP/1.1\r\nHost: a\r\n" : "POST / HTTP/1.0\r\nHost: a\r\n");
    struct http_limits lim = {limits.max_head - line + b.n, 100, limits.max_headers + 1};
    long more = (long)b.n - (long)line;
    buf_add(&b, all.p + line, all.n - line);
    long other = http_head_parse(&h, b.p, b.n, &lim);
    if (verdict > 0 && other > 0)
        check_fields(&r, &h);
    bool interim = verdict < 0 && r.status < 200 && other > 0;
    if (!is_refused_otherwise(other, h.error) && !interim)
        check(verdict > 0 ? other == verdict + more : (verdict < 0) == (other < 0));
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str all = input_of(data, size);
    unsigned choice = input_byte(&all);
    const struct scan *now = scan_now;
    struct way whole = {SIZE_MAX, false, choice & 1};
    struct facts want = read_all(all, whole), got;
    got = read_all(all, (struct way){1, false, choice & 1});
    check_same(&want, &got);
    got = read_all(all, (struct way){1 + choice / 2, true, choice & 1});
    check_same(&want, &got);
    for (size_t i = 0; scan_way(i); i++) {
        check(scan_use(scan_way(i)->name));
        got = read_all(all, whole);
        check_same(&want, &got);
    }
    scan_use(now->name);
    check_request(all);
    return 0;
}
