/* msg.h - the master as a member of the mail, for the command line: `cserver msg` sends through it and listens through
 * it. */
#ifndef PROC_MSG_H
#define PROC_MSG_H

#include "ipc/mailbox.h"

struct master;

/* A message has come to the master, which takes no topic but for who asked for it. From mailbox_drain. */
void msg_on_message(struct master *m, const struct mail_message *mail);

#endif
