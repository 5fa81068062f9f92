#include "base/note.h"

void note_add_str(struct note *t, cs_str s)
{
    size_t room = t->size - 1 - t->n, n = s.n < room ? s.n : room;
    if (n)
        memcpy(t->p + t->n, s.p, n);
    t->n += n;
    t->p[t->n] = '\0';
}

void note_add(struct note *t, const char *z)
{
    note_add_str(t, str_of(z));
}

static void add_digits(struct note *t, uint64_t n, unsigned base, int width)
{
    char text[24];
    size_t at = sizeof(text);
    for (; at > 0 && (n > 0 || width > 0); n /= base, width--)
        text[--at] = "0123456789abcdef"[n % base];
    note_add_str(t, (cs_str){text + at, sizeof(text) - at});
}

void note_add_number(struct note *t, uint64_t n)
{
    add_digits(t, n, 10, 1);
}

void note_add_hex(struct note *t, uint64_t n)
{
    note_add(t, "0x");
    add_digits(t, n, 16, 1);
}

void note_add_id(struct note *t, uint64_t n)
{
    add_digits(t, n, 16, 16);
}
