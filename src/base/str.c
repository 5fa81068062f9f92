/* str.c - what is too long to stand in the header. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

#define DISTANCE_MAX_LEN 255

/* 4 to 7 bytes as a word, or 1 to 3; some of them may be in it twice. */
static inline uint64_t short_word(const char *p, size_t n)
{
    uint32_t head, tail;
    if (n < 4)
        return (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 |
               (uint64_t)(unsigned char)p[n - 1] << 16;
    memcpy(&head, p, 4);
    memcpy(&tail, p + n - 4, 4);
    return head | (uint64_t)tail << 32;
}

static inline uint64_t word_at(const char *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

/* str_lower_char for 8 bytes. The sums carry into the top bit of a byte, where its low 7 bits are at least 'A', and
 * above 'Z'. */
static inline uint64_t lower_word(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, low = w & (ones * 0x7f);
    uint64_t from_a = low + ones * (0x80 - 'A'), above_z = low + ones * (0x7f - 'Z');
    return w | (((from_a ^ above_z) & ~w & (ones * 0x80)) >> 2);
}

bool str_eq_nocase(cs_str a, cs_str b)
{
    if (a.n != b.n)
        return false;
    if (a.n < 8)
        return a.n == 0 || lower_word(short_word(a.p, a.n)) == lower_word(short_word(b.p, b.n));
    for (size_t i = 0; i + 8 < a.n; i += 8)
        if (lower_word(word_at(a.p + i)) != lower_word(word_at(b.p + i)))
            return false;
    return lower_word(word_at(a.p + a.n - 8)) == lower_word(word_at(b.p + a.n - 8));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

cs_str str_trim(cs_str s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(cs_str *rest, char sep, cs_str *piece)
{
    if (!rest->p)
        return false;
    const char *hit = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    if (!hit) {
        *piece = *rest;
        *rest = (cs_str){NULL, 0};
        return true;
    }
    size_t n = (size_t)(hit - rest->p);
    *piece = (cs_str){rest->p, n};
    *rest = (cs_str){hit + 1, rest->n - n - 1};
    return true;
}

/* 19 digits always fit, so that only those behind them are looked at more closely. */
bool str_to_u64(cs_str s, uint64_t max, uint64_t *out)
{
    const char *p = s.p, *end = p + s.n, *fit = s.n > 19 ? p + 19 : end;
    uint64_t v = 0;
    for (; p < fit; p++) {
        unsigned digit = (unsigned char)*p - (unsigned)'0';
        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    for (; p < end; p++) {
        unsigned digit = (unsigned char)*p - (unsigned)'0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (s.n == 0 || v > max)
        return false;
    *out = v;
    return true;
}

/* The second byte's range is what keeps out overlong forms (E0, F0), surrogates (ED) and values
 * above U+10FFFF (F4): table 3-7 of the Unicode standard. */
static size_t utf8_lead(unsigned char c, unsigned char *lo, unsigned char *hi)
{
    *lo = 0x80;
    *hi = 0xbf;
    if (c >= 0xc2 && c <= 0xdf)
        return 2;
    if (c >= 0xe0 && c <= 0xef) {
        *lo = c == 0xe0 ? 0xa0 : 0x80;
        *hi = c == 0xed ? 0x9f : 0xbf;
        return 3;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        *lo = c == 0xf0 ? 0x90 : 0x80;
        *hi = c == 0xf4 ? 0x8f : 0xbf;
        return 4;
    }
    return 0;
}

size_t str_utf8_next(cs_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char lo, hi;
    if (s.n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t n = utf8_lead(p[0], &lo, &hi);
    if (n == 0 || n > s.n || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

cs_str str_utf8_whole(cs_str s)
{
    unsigned char lo, hi;
    for (size_t back = 1; back <= 3 && back <= s.n; back++) {
        unsigned char c = (unsigned char)s.p[s.n - back];
        if (c >= 0x80 && c <= 0xbf)
            continue;
        return c > 0xbf && utf8_lead(c, &lo, &hi) > back ? (cs_str){s.p, s.n - back} : s;
    }
    return s;
}

bool str_is_utf8(cs_str s)
{
    while (s.n) {
        size_t n = str_utf8_next(s);
        if (n == 0)
            return false;
        s.p += n;
        s.n -= n;
    }
    return true;
}

static unsigned min_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* One row of the matrix: distances of a[0..i] to every beginning of b. two: row i-2, one: row i-1.
 * Returns the smallest entry. */
static unsigned distance_row(cs_str a, size_t i, cs_str b, const unsigned *two, const unsigned *one,
                             unsigned *row)
{
    unsigned best = row[0] = (unsigned)i;
    for (size_t j = 1; j <= b.n; j++) {
        unsigned swap_cost = a.p[i - 1] != b.p[j - 1];
        unsigned d = min_of(min_of(one[j] + 1, row[j - 1] + 1), one[j - 1] + swap_cost);
        if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
            d = min_of(d, two[j - 2] + 1);
        row[j] = d;
        best = min_of(best, d);
    }
    return best;
}

unsigned str_distance(cs_str a, cs_str b, unsigned max)
{
    unsigned rows[3][DISTANCE_MAX_LEN + 1];
    size_t gap = a.n > b.n ? a.n - b.n : b.n - a.n;
    if (gap > max || a.n > DISTANCE_MAX_LEN || b.n > DISTANCE_MAX_LEN)
        return str_eq(a, b) ? 0 : max + 1;
    for (size_t j = 0; j <= b.n; j++)
        rows[0][j] = (unsigned)j;
    /* A transposition reaches two rows back, so two rows in turn above max mean no way back below
     * it. */
    unsigned before = 0;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned best = distance_row(a, i, b, rows[(i + 1) % 3], rows[(i + 2) % 3], rows[i % 3]);
        if (best > max && before > max)
            return max + 1;
        before = best;
    }
    return min_of(rows[a.n % 3][b.n], max + 1);
}

/* -1: not that simple, or no room. */
static int put_texts(char *to, size_t room, const char *fmt, va_list ap)
{
    size_t n = 0;
    while (*fmt) {
        cs_str s;
        if (*fmt != '%') {
            s = (cs_str){fmt, (size_t)(strchrnul(fmt, '%') - fmt)};
            fmt += s.n;
        } else if (fmt[1] == 's') {
            s = str_of(va_arg(ap, const char *));
            fmt += 2;
        } else if (fmt[1] == '.' && fmt[2] == '*' && fmt[3] == 's') {
            int most = va_arg(ap, int);
            const char *z = va_arg(ap, const char *);
            if (most < 0 || !z)
                return -1;
            s = (cs_str){z, strnlen(z, (size_t)most)};
            fmt += 4;
        } else {
            return -1;
        }
        if (!s.p || s.n >= room - n)
            return -1;
        memcpy(to + n, s.p, s.n);
        n += s.n;
    }
    to[n] = '\0';
    return (int)n;
}

int str_vprintf(char *to, size_t room, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = room ? put_texts(to, room, fmt, ap) : -1;
    if (n < 0)
        n = vsnprintf(to, room, fmt, again);
    va_end(again);
    return n;
}
