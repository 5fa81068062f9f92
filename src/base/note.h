/* note.h - text put together in a fixed room: what does not fit is left out. Takes no memory and no lock, so signal
 * handlers may use it. It is always NUL-terminated. */
#ifndef BASE_NOTE_H
#define BASE_NOTE_H

#include "base/str.h"

struct note {
    char *p;
    size_t size, n;
};

/* Empty; size is not 0. */
static inline struct note note_on(char *p, size_t size)
{
    *p = '\0';
    return (struct note){.p = p, .size = size};
}

void note_add(struct note *t, const char *z);
void note_add_str(struct note *t, cs_str s);
void note_add_number(struct note *t, uint64_t n);
/* "0x1a3c" */
void note_add_hex(struct note *t, uint64_t n);
/* Sixteen digits, as ids of requests are written. */
void note_add_id(struct note *t, uint64_t n);

static inline cs_str note_str(const struct note *t)
{
    return (cs_str){t->p, t->n};
}

#endif
