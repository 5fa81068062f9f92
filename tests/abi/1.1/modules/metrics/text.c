#include "text.h"

#include <stdio.h>
#include <stdlib.h>

/* The old piece stays with the request, so double each time. */
void text_reserve(struct text *t, size_t n)
{
    size_t room = t->room ? t->room : 4096;
    if (t->room - t->n >= n)
        return;
    while (room - t->n < n)
        room *= 2;
    char *p = t->failed ? NULL : cs_alloc(t->r, room);
    if (!p) {
        t->failed = 1;
        return;
    }
    if (t->n)
        memcpy(p, t->p, t->n);
    t->p = p;
    t->room = room;
}

void text_add(struct text *t, cs_str s)
{
    text_reserve(t, s.n);
    if (t->failed || !s.n)
        return;
    memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
}

void text_z(struct text *t, const char *s)
{
    text_add(t, (cs_str){s, strlen(s)});
}

void text_int(struct text *t, int64_t v)
{
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%lld", (long long)v);
    text_add(t, (cs_str){digits, (size_t)n});
}

void text_real(struct text *t, double v)
{
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, v);
        if (strtod(digits, NULL) == v)
            break;
    }
    text_z(t, digits);
    if (!strpbrk(digits, ".en"))
        text_z(t, ".0");
}

/* Length of the UTF-8 sequence that s begins with, 0 where it is none. Only the form counts here: overlong ones and
 * surrogates do no harm. */
static size_t sequence(cs_str s)
{
    const unsigned char c = (unsigned char)*s.p;
    const size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)s.p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

void text_escaped(struct text *t, cs_str s, _Bool quotes)
{
    while (s.n) {
        const size_t n = sequence(s);
        if (!n)
            text_add(t, CS_S("?"));
        else if (*s.p == '\n')
            text_add(t, CS_S("\\n"));
        else if (*s.p == '\\' || (*s.p == '"' && quotes))
            text_add(t, *s.p == '"' ? CS_S("\\\"") : CS_S("\\\\"));
        else
            text_add(t, (cs_str){s.p, n});
        s.p += n ? n : 1;
        s.n -= n ? n : 1;
    }
}
