/* base64.c - see base64.h. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 1 to 3 bytes as 4 characters. */
static void put_group(char to[4], const unsigned char *p, size_t n)
{
    unsigned v = (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

    to[0] = digits[v >> 18];
    to[1] = digits[v >> 12 & 63];
    to[2] = n > 1 ? digits[v >> 6 & 63] : '=';
    to[3] = n > 2 ? digits[v & 63] : '=';
}

void base64_add(struct buf *out, cs_str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    char *to = buf_reserve(out, (bytes.n + 2) / 3 * 4);

    for (size_t i = 0; i < bytes.n; i += 3, to += 4)
        put_group(to, p + i, bytes.n - i);
    buf_added(out, (bytes.n + 2) / 3 * 4);
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* n characters of a group, 2 to 4, as n - 1 bytes; the bits that stand for nothing are 0. */
static bool take_group(struct buf *out, const char *p, size_t n)
{
    unsigned v = 0;
    char bytes[3];

    for (size_t i = 0; i < 4; i++) {
        int d = i < n ? value_of(p[i]) : 0;

        if (d < 0)
            return false;
        v = v << 6 | (unsigned)d;
    }
    if ((n == 2 && v & 0xffff) || (n == 3 && v & 0xff))
        return false;
    bytes[0] = (char)(v >> 16);
    bytes[1] = (char)(v >> 8 & 255);
    bytes[2] = (char)(v & 255);
    buf_add(out, bytes, n - 1);
    return true;
}

bool base64_decode(struct buf *out, cs_str text)
{
    size_t before = out->n, pads = 0;

    if (text.n % 4 != 0)
        return false;
    while (pads < 2 && pads < text.n && text.p[text.n - 1 - pads] == '=')
        pads++;
    buf_reserve(out, text.n / 4 * 3);
    for (size_t i = 0; i < text.n; i += 4)
        if (!take_group(out, text.p + i, i + 4 == text.n ? 4 - pads : 4)) {
            out->n = before;
            out->p[before] = '\0';
            return false;
        }
    return true;
}
