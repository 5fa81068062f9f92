/* outbox.c - a queue in chunks: messages leave in the order they came, so a chunk empties as a whole and serves again.
 * An allocation for each message would cost more than the message: the top of the heap is given back to the kernel and
 * faulted in anew each time. */
#include "ipc/outbox.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)128 << 10) /* bytes: a largest message and half as much again */
/* Kept for the next time. All: a chunk is large enough to be a mapping of its own, which is dear to make. */
#define SPARES (OUTBOX_MAX / CHUNK)

struct outbox_chunk {
    struct outbox_chunk *next;
    size_t used, entries;
    alignas(max_align_t) char data[];
};

static size_t size_of(size_t len)
{
    size_t unit = alignof(max_align_t);
    return (sizeof(struct outbox_entry) + len + unit - 1) / unit * unit;
}

static struct outbox_chunk *take_chunk(struct outbox *o)
{
    struct outbox_chunk *c = o->spare;
    if (!c)
        return mem_resize(NULL, sizeof(*c) + CHUNK);
    o->spare = c->next;
    o->nspare--;
    return c;
}

static void put_chunk(struct outbox *o, struct outbox_chunk *c)
{
    if (o->nspare == SPARES) {
        free(c);
        return;
    }
    c->next = o->spare;
    o->spare = c;
    o->nspare++;
}

static struct outbox_entry *new_entry(struct outbox *o, size_t size)
{
    struct outbox_chunk *c = o->newest;
    check(size <= CHUNK);
    if (!c || c->used + size > CHUNK) {
        c = take_chunk(o);
        c->next = NULL;
        c->used = c->entries = 0;
        *(o->newest ? &o->newest->next : &o->oldest) = c;
        o->newest = c;
    }
    struct outbox_entry *e = (void *)(c->data + c->used);
    c->used += size;
    c->entries++;
    return e;
}

bool outbox_add(struct outbox *o, const struct ipc_mail_record *rec, const void *data,
                struct mail_receipt *receipt)
{
    size_t size = size_of(rec->len);
    if (o->bytes + size > OUTBOX_MAX)
        return false;
    struct outbox_entry *e = new_entry(o, size);
    *e = (struct outbox_entry){.receipt = receipt, .rec = *rec};
    if (rec->len)
        memcpy(e->data, data, rec->len);
    if (!o->first)
        o->last = &o->first;
    *o->last = e;
    o->last = &e->next;
    o->bytes += size;
    return true;
}

/* The first entry lies in the oldest chunk. */
void outbox_drop_first(struct outbox *o)
{
    struct outbox_chunk *c = o->oldest;
    o->bytes -= size_of(o->first->rec.len);
    o->first = o->first->next;
    if (--c->entries > 0)
        return;
    o->oldest = c->next;
    if (!o->oldest)
        o->newest = NULL;
    put_chunk(o, c);
}

void outbox_forget(struct outbox *o, const struct mail_receipt *receipt)
{
    for (struct outbox_entry *e = o->first; e; e = e->next)
        if (e->receipt == receipt)
            e->receipt = NULL;
}

unsigned outbox_clear(struct outbox *o)
{
    unsigned n = 0;
    for (; o->first; n++)
        outbox_drop_first(o);
    while (o->spare) {
        struct outbox_chunk *c = o->spare;
        o->spare = c->next;
        free(c);
    }
    o->nspare = 0;
    return n;
}
