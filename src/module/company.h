/* company.h - which other processes there are, as modules are told of it: on_join and on_leave. */
#ifndef MODULE_COMPANY_H
#define MODULE_COMPANY_H

#include "module/host.h"

/* Who is there now is not told. After mailbox_join. */
void company_open(struct host *h);
void company_close(struct host *h);
/* A message of the topic of members (ipc/member.h). */
void company_take(struct host *h, const struct mail_message *m);

#endif
