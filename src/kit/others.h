/* others.h - the processes of the server that are only pretended: each has a place and a mailbox in the region, and takes
 * what is for it. The master is among them. */
#ifndef KIT_OTHERS_H
#define KIT_OTHERS_H

#include "base/buf.h"
#include "ipc/mailbox.h"

#define OTHERS_WORKERS 16

struct others;

struct other {
    struct mailbox mail;
    struct others *all;
    int number; /* worker's, 0 = the primary */
    bool there, stalled;
};

struct others {
    struct region *region;
    struct mailbox master;
    unsigned members, answers; /* topics of the server */
    struct other each[OTHERS_WORKERS + 1];
    uint64_t topics[IPC_TOPICS / 64]; /* what all take */

    uint32_t asked; /* number of the last question of the test */
    bool answered;
    struct buf answer;
};

/* post_init has been called for the region. */
void others_open(struct others *o, struct region *r);
void others_take(struct others *o, unsigned topic);
/* Primary and workers 1..n are there, all but `own`, which is the process under test. Quietly: nobody is told. */
void others_settle(struct others *o, int own, int n);
void others_close(struct others *o);

/* Slot of a worker's number, 0 = the primary. */
int others_slot(int number);
/* They look at their mail. False: there was none. */
bool others_drain(struct others *o);
/* What has it for a mailbox? NULL: it is not there. */
struct mailbox *others_mailbox(struct others *o, int number);
/* Tells all that a process has come or gone. */
void others_tell(struct others *o, int number, bool left, int signal);

#endif
