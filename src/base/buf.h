/* buf.h - bytes that grow at the end: for lines, pages and messages that are built piece by piece.
 * Zero-initialised is empty (p is then NULL). All calls keep a NUL behind the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
    char *p;
    size_t n, cap;
};

void buf_free(struct buf *b);
static inline void buf_clear(struct buf *b)
{
    b->n = 0;
    if (b->p)
        b->p[0] = '\0';
}
/* Room for n more bytes behind the end (and a NUL); returns where to write them. Then call
 * buf_added. */
char *buf_reserve(struct buf *b, size_t n);
/* n bytes were written into the reserved room. */
static inline void buf_added(struct buf *b, size_t n)
{
    b->n += n;
    b->p[b->n] = '\0';
}
void buf_add(struct buf *b, const char *p, size_t n);
void buf_add_str(struct buf *b, cs_str s);
void buf_add_z(struct buf *b, const char *z);
void buf_add_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
static inline cs_str buf_str(const struct buf *b)
{
    return (cs_str){b->p, b->n};
}

#endif
