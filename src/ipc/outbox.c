/* outbox.c - a list: it is short-lived, and mostly empty. */
#include "ipc/outbox.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static size_t size_of(const struct outbox_entry *e)
{
    return sizeof(*e) + e->rec.len;
}

bool outbox_add(struct outbox *o, const struct ipc_mail_record *rec, const void *data,
                struct mail_receipt *receipt)
{
    if (o->bytes + sizeof(struct outbox_entry) + rec->len > OUTBOX_MAX)
        return false;
    struct outbox_entry *e = mem_alloc(sizeof(*e) + rec->len);
    e->rec = *rec;
    e->receipt = receipt;
    if (rec->len)
        memcpy(e->data, data, rec->len);
    if (!o->first)
        o->last = &o->first;
    *o->last = e;
    o->last = &e->next;
    o->bytes += size_of(e);
    return true;
}

void outbox_drop_first(struct outbox *o)
{
    struct outbox_entry *e = o->first;
    o->first = e->next;
    o->bytes -= size_of(e);
    free(e);
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
    return n;
}
