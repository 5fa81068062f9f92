#include "serve/inbuf.h"

#include "base/check.h"
#include "serve/ctx.h"

#include <stdlib.h>

#define MAX_SPARE 64

/* Room behind a full head, so that a pipelined batch or the start of a body comes in with the same
 * read. */
static size_t usual_size(const struct serve *s)
{
    size_t head = (size_t)s->limits->max_head;
    return head < 15 * 1024 ? 16 * 1024 : head + 4096;
}

/* A spare one; those of another size are from before max_head has changed. */
static struct inbuf *take_spare(struct serve *s, size_t cap)
{
    while (s->spare_in) {
        struct inbuf *b = s->spare_in;
        s->spare_in = b->next;
        s->nspare_in--;
        if (b->cap == cap)
            return b;
        free(b);
    }
    return NULL;
}

/* What is to be held may have come when max_head was larger. */
struct inbuf *inbuf_new(struct serve *s, size_t holds)
{
    size_t usual = usual_size(s), cap = usual > holds ? usual : holds + usual;
    struct inbuf *b = take_spare(s, cap);
    if (!b) {
        b = malloc(sizeof *b + cap);
        check(b != NULL);
        b->cap = cap;
    }
    b->refs = 1;
    b->next = NULL;
    return b;
}

void inbuf_release(struct serve *s, struct inbuf *b)
{
    if (!b || --b->refs)
        return;
    if (s->nspare_in >= MAX_SPARE) {
        free(b);
        return;
    }
    b->next = s->spare_in;
    s->spare_in = b;
    s->nspare_in++;
}

void inbuf_drain_spares(struct serve *s)
{
    while (s->spare_in) {
        struct inbuf *b = s->spare_in;
        s->spare_in = b->next;
        free(b);
    }
    s->nspare_in = 0;
}
