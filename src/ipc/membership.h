/* membership.h - how a process gets a place among the receivers, what it is owed there, and how it leaves it. The calls
 * for users are in mailbox.h; these are for mailbox.c. */
#ifndef IPC_MEMBERSHIP_H
#define IPC_MEMBERSHIP_H

#include "ipc/mailbox.h"

/* What is delivered besides the records of the ring: a latest value, or a report of what is missing, or both in one. */
struct mail_news {
    struct mail_news *next;
    struct mail_message message;
    bool owed; /* it settles what the process was owed; else it comes from before its time */
    uint64_t data[];
};

/* data is left to the caller. */
struct mail_message membership_message(const struct ipc_mail_record *rec);

/* We have been evicted: goes to the head and leaves reports in mb->news. False when the lock is taken at the moment. */
bool membership_recover(struct mailbox *mb);

#endif
