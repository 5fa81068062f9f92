/* outbox.h - messages of one process that are not in the ring yet, in order. Process memory. */
#ifndef IPC_OUTBOX_H
#define IPC_OUTBOX_H

#include "ipc/layout.h"

#include <stdbool.h>
#include <stddef.h>

#define OUTBOX_MAX (4u << 20) /* bytes, with what each entry needs itself */

struct mail_receipt;

struct outbox_entry {
    struct outbox_entry *next;
    struct mail_receipt *receipt; /* borrowed; NULL: none */
    struct ipc_mail_record rec;
    char data[]; /* rec.len bytes */
};

struct outbox { /* zero-initialised is empty */
    struct outbox_entry *first, **last;
    size_t bytes;
    struct outbox_chunk *oldest, *newest, *spare; /* where the entries lie */
    unsigned nspare;
};

/* Copies; false when that would be more than OUTBOX_MAX. */
bool outbox_add(struct outbox *o, const struct ipc_mail_record *rec, const void *data,
                struct mail_receipt *receipt);
static inline struct outbox_entry *outbox_first(const struct outbox *o)
{
    return o->first;
}
void outbox_drop_first(struct outbox *o);
/* The receipt's owner goes away; the message stays. */
void outbox_forget(struct outbox *o, const struct mail_receipt *receipt);
/* Empties it and frees its memory; the number of messages thrown away. */
unsigned outbox_clear(struct outbox *o);

#endif
