/* topic.h - the table of topics: names with numbers, how many messages each has had and for whom, and the latest value
 * of those that keep one.
 *
 * A name gets its number from the master, before the processes that use it are forked, and keeps it for ever: over
 * reloads, for all modules that say the name. */
#ifndef IPC_TOPIC_H
#define IPC_TOPIC_H

#include "ipc/region.h"

#include <stdbool.h>

struct topic_spec {
    const char *name;
    const char *owner; /* the module, for people; the first to name the topic */
    size_t max_len;    /* bytes of a message, at most IPC_MAIL_MAX; with latest IPC_LATEST_MAX */
    bool latest;       /* keep the last value for those who come later */
};

/* Master only. The number: 0.. in order of arrival. A known name keeps its number and may grow (max_len) and begin to
 * keep its latest value; it never shrinks. -EINVAL: no name, or max_len is 0 or too much; -ENAMETOOLONG; -ENOSPC: no
 * more topics, or no more that keep values. */
int topic_new(struct region *r, const struct topic_spec *spec);
/* -ENOENT. Any process. */
int topic_find(const struct region *r, const char *name);
/* NULL when there is no such number. */
const struct ipc_topic *topic_get(const struct region *r, unsigned topic);

/* ---- For the mailbox; the lock is held where it says so ---- */

/* Messages of the topic so far that were for the process in this slot; only differences mean something. */
uint64_t topic_expected(const struct region *r, int slot, unsigned topic);
/* Those of them that it has neither had delivered nor reported as lost. */
uint64_t topic_owed(const struct region *r, int slot, unsigned topic);

/* Keeps the record as the latest value (lock held; not seen before the head has passed rec->pos). */
void topic_keep(struct region *r, const struct ipc_mail_record *rec, const void *data);
/* The latest committed value into rec and data (IPC_LATEST_MAX bytes); false when there is none (lock held). */
bool topic_latest(const struct region *r, unsigned topic, struct ipc_mail_record *rec, void *data);
/* Drops what a dead writer had not committed (lock held). */
void topic_repair(struct region *r);

#endif
