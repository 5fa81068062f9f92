/* msg.c - see msg.h. */
#include "proc/msg.h"

void msg_on_message(struct master *m, const struct mail_message *mail)
{
    (void)m;
    (void)mail;
}
