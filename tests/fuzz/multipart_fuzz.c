/* multipart_fuzz.c - any bytes as a Range field and a body: what is sent for several ranges, read by a parser that knows only
 * the boundary, gives back each range of the body, in order, and nothing else.
 *
 * The input: the size of the body, up to 255; the Range field up to a line feed; the body, made longer by repeating it. */
#include "base/buf.h"
#include "base/check.h"
#include "http/multipart.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 16

/* Of the input's bytes, so that the input cannot know it: one that does not change is found within seconds. */
static void make_salt(const uint8_t *data, size_t size, uint64_t salt[2])
{
    salt[0] = 0xcbf29ce484222325;
    for (size_t i = 0; i < size; i++)
        salt[0] = (salt[0] ^ data[i]) * 0x100000001b3;
    salt[1] = (salt[0] ^ salt[0] >> 29) * 0x9e3779b97f4a7c15;
}

static cs_str behind(cs_str s, size_t n)
{
    return (cs_str){s.p + n, s.n - n};
}

static cs_str take(cs_str *s, cs_str until)
{
    const char *end = memmem(s->p, s->n, until.p, until.n);
    check(end);
    cs_str piece = {s->p, (size_t)(end - s->p)};
    *s = behind(*s, piece.n + until.n);
    return piece;
}

static void check_part_head(cs_str head, cs_str type, struct http_range r, uint64_t size)
{
    char want[96];
    if (type.n) {
        cs_str field = take(&head, CS_S("\r\n"));
        check(str_starts(field, CS_S("Content-Type: ")));
        check(str_eq(behind(field, 14), type));
    }
    snprintf(want, sizeof want, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, r.first,
             r.last, size);
    check(str_is(head, want));
}

/* Reads it as a client does that looks for delimiters (RFC 2046 section 5.1.1) and not at lengths. */
static void check_sent(cs_str sent, cs_str media, cs_str type, cs_str body,
                       const struct http_range *r, int n)
{
    struct buf delimiter = {0};
    check(str_starts(media, CS_S("multipart/byteranges; boundary=")));
    cs_str boundary = behind(media, 31);
    check(boundary.n > 0 && boundary.n <= 70);
    buf_printf(&delimiter, "\r\n--%.*s", CS_F(boundary));
    cs_str mark = buf_str(&delimiter);
    check(take(&sent, mark).n == 0);
    for (int i = 0; i < n; i++) {
        check(take(&sent, CS_S("\r\n")).n == 0);
        check_part_head(take(&sent, CS_S("\r\n\r\n")), type, r[i], body.n);
        cs_str part = take(&sent, mark);
        check(part.n == r[i].last - r[i].first + 1);
        check(memcmp(part.p, body.p + r[i].first, part.n) == 0);
    }
    check(str_is(sent, "--\r\n"));
    buf_free(&delimiter);
}

static void round_trip(cs_str body, cs_str type, const struct http_range *r, int n,
                       const uint64_t salt[2])
{
    struct http_multipart m;
    struct arena a;
    struct buf sent = {0};
    arena_init(&a, NULL);
    http_multipart_make(&m, &a, r, n, body.n, type, salt);
    for (int i = 0; i < n; i++) {
        buf_add_str(&sent, m.heads[i]);
        buf_add(&sent, body.p + r[i].first, r[i].last - r[i].first + 1);
    }
    buf_add_str(&sent, m.tail);
    check(sent.n == m.len);
    check_sent(buf_str(&sent), m.type, type, body, r, n);
    buf_free(&sent);
    arena_drop(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_range r[MOST];
    char body[UINT8_MAX];
    uint64_t salt[2];
    const uint8_t *lf = size > 1 ? memchr(data + 1, '\n', size - 1) : NULL;
    if (!lf || lf + 1 == data + size)
        return 0;
    cs_str field = {(const char *)data + 1, (size_t)(lf - data) - 1};
    size_t given = (size_t)(data + size - lf) - 1;
    for (size_t i = 0; i < data[0]; i++)
        body[i] = (char)lf[1 + i % given];
    cs_str whole = {body, data[0]};
    int n = http_range_parse(field, whole.n, r, MOST);
    make_salt(data, size, salt);
    if (n > 0) {
        round_trip(whole, CS_S("text/html; charset=utf-8"), r, n, salt);
        round_trip(whole, (cs_str){0}, r, n, salt);
    }
    return 0;
}
