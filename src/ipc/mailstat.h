/* mailstat.h - reading what the mail has counted: names for the metrics, sums, lags. Any process, without the lock. */
#ifndef IPC_MAILSTAT_H
#define IPC_MAILSTAT_H

#include "ipc/region.h"

struct mailstat_name {
    const char *name; /* "cserver_mail_published_total" */
    const char *help;
};
const struct mailstat_name *mailstat_counter(enum ipc_mail_counter c);
const struct mailstat_name *mailstat_histogram(enum ipc_mail_histogram h);
const char *mailstat_state_name(enum ipc_mail_state s);

uint64_t mailstat_get(const struct region *r, int slot, enum ipc_mail_counter c);
uint64_t mailstat_sum(const struct region *r, enum ipc_mail_counter c);
/* Cells between the process and the head; 0 for who takes no mail. */
uint64_t mailstat_lag(const struct region *r, int slot);

struct mailstat_topic {
    uint64_t published, bytes; /* by all, once each */
    uint64_t delivered, lost;  /* summed over all receivers */
};
struct mailstat_topic mailstat_topic(const struct region *r, unsigned topic);

#endif
