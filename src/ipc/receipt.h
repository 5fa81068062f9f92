/* receipt.h - following a message until everybody has handled it. The calls for users are in mailbox.h; this is for
 * mailbox.c. */
#ifndef IPC_RECEIPT_H
#define IPC_RECEIPT_H

#include "ipc/mailbox.h"

/* One with a callback that is due; NULL when there is none. */
struct mail_receipt *receipt_find_applied(const struct mailbox *mb);

#endif
