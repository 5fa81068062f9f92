/* buf.c - grows by doubling. */
#include "base/buf.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define SMALLEST 64

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

char *buf_reserve(struct buf *b, size_t n)
{
    check(n < SIZE_MAX / 4 && b->n < SIZE_MAX / 4);
    size_t need = b->n + n + 1;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : SMALLEST;
        while (cap < need)
            cap *= 2;
        b->p = mem_resize(b->p, cap);
        b->cap = cap;
        b->p[b->n] = '\0';
    }
    return b->p + b->n;
}

void buf_add(struct buf *b, const char *p, size_t n)
{
    char *to = buf_reserve(b, n);
    if (n)
        memcpy(to, p, n);
    buf_added(b, n);
}

void buf_add_str(struct buf *b, cs_str s)
{
    buf_add(b, s.p, s.n);
}

void buf_add_z(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z));
}

void buf_add_char(struct buf *b, char c)
{
    *buf_reserve(b, 1) = c;
    buf_added(b, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

/* Tries in the room at hand first, so that a warm buffer is formatted once. */
void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    char *to = buf_reserve(b, SMALLEST - 1);
    size_t room = b->cap - b->n;
    int n = vsnprintf(to, room, fmt, ap);
    check(n >= 0);
    if ((size_t)n >= room) {
        to = buf_reserve(b, (size_t)n);
        vsnprintf(to, (size_t)n + 1, fmt, again);
    }
    buf_added(b, (size_t)n);
    va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
    check(n <= b->n);
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    b->p[b->n] = '\0';
}
