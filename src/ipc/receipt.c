/* receipt.c - who has handled a message is read off the slots; nobody sends an answer. Who has joined after it began behind
 * it, and who has died takes no mail. */
#include "ipc/receipt.h"

static bool has_yet_to_handle(const struct mailbox *mb, const struct ipc_mail_record *rec, int slot)
{
    const struct ipc_mail_slot *s = &mb->region->mailboxes[slot];
    if (atomic_load_explicit(&s->state, memory_order_acquire) == IPC_MAIL_OUT)
        return false;
    if (!ring_is_for(rec, slot) || !ring_takes(s, rec->topic))
        return false;
    if (rec->to >= 0 && atomic_load(&s->incarnation) != rec->to_incarnation)
        return false;
    return atomic_load_explicit(&s->handled, memory_order_acquire) < rec->pos + rec->cells;
}

unsigned mailbox_unapplied(const struct mailbox *mb, const struct mail_receipt *r, int *slots,
                           unsigned room)
{
    unsigned n = 0;
    if (r->state == MAIL_RECEIPT_QUEUED) {
        if (room)
            slots[0] = mb->slot;
        return 1;
    }
    int used = (int)atomic_load_explicit(&mb->region->mail->used, memory_order_acquire);
    for (int i = 0; r->state == MAIL_RECEIPT_SENT && i < used; i++) {
        if (!has_yet_to_handle(mb, &r->rec, i))
            continue;
        if (n < room)
            slots[n] = i;
        n++;
    }
    return n;
}

struct mail_receipt *receipt_find_applied(const struct mailbox *mb)
{
    LIST_EACH(it, &mb->receipts)
    {
        struct mail_receipt *r = CONTAINER_OF(it, struct mail_receipt, node);
        if (r->on_applied && mailbox_unapplied(mb, r, NULL, 0) == 0)
            return r;
    }
    return NULL;
}
