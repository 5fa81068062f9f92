/* head_fuzz.c - any bytes as the head of a request: byte by byte as in one piece, in every way to
 * scan, and what is accepted keeps the promises of head.h. */
#include "base/check.h"
#include "http/head.h"
#include "http/scan.h"
#include "http/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_promises(const struct http_head *h, const char *bytes, size_t n)
{
    check(n >= 16 && memcmp(bytes + n - 4, "\r\n\r\n", 4) == 0);
    check(http_is_token(h->method_text) && h->target.n > 0);
    check(!(h->chunked && h->content_length >= 0) && h->content_length >= -1);
    check(h->minor == 0 || h->field[HTTP_FIELD_HOST]);
    check(h->port >= -1 && h->port <= 65535);
    check((h->target_path.n > 0 && h->target_path.p[0] == '/') || h->form == HTTP_AUTHORITY_FORM ||
          h->form == HTTP_ASTERISK_FORM);
    for (size_t i = 0; i < h->nheaders; i++) {
        const struct http_header *f = &h->headers[i];
        check(f->name.p >= bytes && f->value.p + f->value.n <= bytes + n);
        check(http_is_token(f->name) && http_is_field_value(f->value));
        check(f->field == http_field_of(f->name));
    }
}

static bool same_str(cs_str a, cs_str b)
{
    return a.p == b.p && a.n == b.n;
}

/* Every way to scan says the same, and points to the same bytes. */
static void check_way(const struct scan *way, const struct http_head *want, long verdict,
                      cs_str bytes, const struct http_limits *lim)
{
    struct http_header fields[16];
    struct http_head h = {.headers = fields, .headers_cap = 16};
    scan_use(way->name);
    check(http_head_parse(&h, bytes.p, bytes.n, lim) == verdict);
    check(h.error == want->error && h.nheaders == want->nheaders);
    check(same_str(h.target, want->target) && same_str(h.host, want->host));
    for (size_t i = 0; i < h.nheaders; i++)
        check(same_str(fields[i].name, want->headers[i].name) &&
              same_str(fields[i].value, want->headers[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_header fields[2][16];
    struct http_limits lim = {2048, 512, 12};
    struct http_head whole = {.headers = fields[0], .headers_cap = 16};
    struct http_head cut = {.headers = fields[1], .headers_cap = 16};
    const char *bytes = (const char *)data;
    long want = http_head_parse(&whole, bytes, size, &lim), got = 0;
    size_t n = 0;
    while (got == 0 && n < size)
        got = http_head_parse(&cut, bytes, ++n, &lim);
    check(size == 0 || got == want);
    check(want <= 0 || (size_t)want == n);
    check(want >= 0 || whole.error);
    check(want != 0 || size < lim.max_head);
    for (size_t i = 0; scan_way(i); i++)
        check_way(scan_way(i), &whole, want, (cs_str){bytes, size}, &lim);
    if (want > 0)
        check_promises(&whole, bytes, n);
    return 0;
}
