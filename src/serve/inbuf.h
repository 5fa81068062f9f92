/* inbuf.h - a receive buffer. Heads are parsed in place, so requests whose head lies in it hold a
 * reference; its bytes do not move while somebody but the connection holds one. */
#ifndef SERVE_INBUF_H
#define SERVE_INBUF_H

#include <stddef.h>

struct serve;

struct inbuf {
    unsigned refs;
    size_t cap;
    struct inbuf *next; /* in the worker's list of spare ones */
    char data[];
};

/* A buffer of the usual size (a head fits in), with room for more than `holds` bytes and one reference. */
struct inbuf *inbuf_new(struct serve *s, size_t holds);
void inbuf_release(struct serve *s, struct inbuf *b);
void inbuf_drain_spares(struct serve *s);

#endif
