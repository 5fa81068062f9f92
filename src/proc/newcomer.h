/* newcomer.h - the program that is to take our place (upgrade.h), as a process of ours: how it is started, the channel to
 * it, and what it writes to its standard error until it has a log. What its words mean is upgrade.c's business. */
#ifndef PROC_NEWCOMER_H
#define PROC_NEWCOMER_H

#include "base/buf.h"
#include "event/loop.h"
#include "proc/handover.h"

#include <sys/types.h>

struct newcomer {
    pid_t pid; /* 0 = there is none */
    struct loop *loop;
    struct loop_io channel, errors;
    struct buf said; /* its standard error, the first 64 KiB; whoever reports it empties it */
    void (*on_message)(struct newcomer *n, cs_str message);
};

void newcomer_init(struct newcomer *n, struct loop *loop,
                   void (*on_message)(struct newcomer *n, cs_str message));
/* give: what is handed over, without channel and errors. 0 or -errno. A program that cannot be run says "exec ERRNO". */
int newcomer_start(struct newcomer *n, const char *program, char **argv,
                   const struct handover *give);
void newcomer_tell(const struct newcomer *n, const char *word);
/* It has ended: what it said last is still there. */
void newcomer_hear_last(struct newcomer *n);
/* Our ends of channel and standard error; pid stays as it is. */
void newcomer_close(struct newcomer *n);
/* In a child: closes descriptors, touches nothing else. */
void newcomer_shed(struct newcomer *n);

#endif
