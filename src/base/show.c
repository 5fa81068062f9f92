/* show.c - see show.h. */
#include "base/show.h"

/* A well-formed sequence of n bytes. */
static unsigned code_of(const char *p, size_t n)
{
    static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned c = (unsigned char)p[0] & first[n];

    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    return c;
}

static bool is_harmless(unsigned c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == '\\')
        return false;
    if (c >= 0x2028 && c <= 0x202e)
        return false;
    return !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff && c < 0xe0000;
}

static void escape(struct buf *out, cs_str bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        buf_printf(out, "\\x%02x", (unsigned char)bytes.p[i]);
}

void show_bytes(struct buf *out, cs_str bytes)
{
    while (bytes.n) {
        size_t n = str_utf8_next(bytes);
        cs_str piece = {bytes.p, n ? n : 1};

        if (n && is_harmless(code_of(bytes.p, n)))
            buf_add_str(out, piece);
        else
            escape(out, piece);
        bytes.p += piece.n;
        bytes.n -= piece.n;
    }
}
