/* chars.c - see chars.h. */
#include "conf/chars.h"

#include "base/check.h"

struct unseen {
    uint32_t first, last;
    const char *name;
};

static const struct unseen unseen[] = {
    {0x00a0, 0x00a0, "no-break space"},
    {0x00ad, 0x00ad, "soft hyphen"},
    {0x034f, 0x034f, "combining grapheme joiner"},
    {0x061c, 0x061c, "text direction mark"},
    {0x115f, 0x1160, "filler"},
    {0x1680, 0x1680, "blank that is not a plain one"},
    {0x180e, 0x180e, "vowel separator"},
    {0x2000, 0x200a, "blank that is not a plain one"},
    {0x200b, 0x200b, "zero width space"},
    {0x200c, 0x200d, "zero width joiner"},
    {0x200e, 0x200f, "text direction mark"},
    {0x2028, 0x2029, "line separator"},
    {0x202a, 0x202e, "text direction mark"},
    {0x202f, 0x202f, "narrow no-break space"},
    {0x205f, 0x205f, "blank that is not a plain one"},
    {0x2060, 0x2064, "word joiner"},
    {0x2065, 0x206f, "text direction mark"},
    {0x3000, 0x3000, "ideographic space"},
    {0x3164, 0x3164, "filler"},
    {0xfeff, 0xfeff, "byte order mark"},
    {0xfff9, 0xfffb, "annotation mark"},
};

/* Decodes one character at s.p: its length, 0 where the bytes are not UTF-8. */
static size_t decode(cs_str s, uint32_t *out)
{
    size_t n = str_utf8_next(s);
    unsigned char c = (unsigned char)s.p[0];

    *out = n == 1 ? c : c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        *out = *out << 6 | ((unsigned char)s.p[i] & 0x3f);
    return n;
}

static const char *unseen_name(uint32_t c)
{
    for (size_t i = 0; i < ARRAY_LEN(unseen); i++)
        if (c >= unseen[i].first && c <= unseen[i].last)
            return unseen[i].name;
    return NULL;
}

static bool is_control(uint32_t c)
{
    return (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0);
}

void chars_say_control(uint32_t c, struct buf *error)
{
    if (c == 0)
        buf_add_z(
            error,
            "a NUL byte: this is not a text file, or it is saved as UTF-16; save it as UTF-8");
    else if (c == '\r')
        buf_add_z(error, "a carriage return (0x0D) inside the line; remove it");
    else
        buf_printf(error, "a control character (0x%02X); remove it", c);
}

size_t chars_check(cs_str s, bool quoted, size_t *width, struct buf *error)
{
    size_t n = 1;

    for (size_t at = 0; at < s.n; at += n) {
        uint32_t c = 0;
        const char *name;

        n = 1; /* nearly all of a file is this */
        if (s.p[at] >= ' ' && s.p[at] < 0x7f)
            continue;
        n = decode((cs_str){s.p + at, s.n - at}, &c);
        *width = n ? n : 1;
        if (!n) {
            buf_printf(error, "the byte 0x%02X is not UTF-8; save the file as UTF-8",
                       (unsigned char)s.p[at]);
            return at;
        }
        if (is_control(c)) {
            chars_say_control(c, error);
            return at;
        }
        name = quoted ? NULL : unseen_name(c);
        if (name) {
            buf_printf(error,
                       "an invisible character, U+%04X (%s); remove it or put a plain blank in its "
                       "place; a value that needs it goes in quotes",
                       c, name);
            return at;
        }
    }
    return s.n;
}

bool chars_is_curly_quote(cs_str s)
{
    uint32_t c = 0;

    return s.n && decode(s, &c) && ((c >= 0x2018 && c <= 0x201f) || c == 0xab || c == 0xbb);
}
