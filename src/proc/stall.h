/* stall.h - does a queue of new connections stand still? Arithmetic only: looks go in, a verdict comes out.
 *
 * Somebody who waits at one look is nothing; who still waits at the next one, with nobody having accepted in between, is a
 * stall. It ends when somebody accepts, or nobody waits any more.
 *
 * Time counts only from look to look, and never more than one and a half of the usual distance for one of them: who has
 * been suspended together with the master (a virtual machine, a whole container) is not blamed for it. */
#ifndef PROC_STALL_H
#define PROC_STALL_H

#include <stdbool.h>
#include <stdint.h>

#define STALL_LOOK_MS 1000

struct stall_look {
    uint64_t now_ms;
    bool waiting;      /* somebody waits in the queue */
    uint64_t progress; /* changes when somebody accepts from the queue */
    int64_t
        culprit; /* who ought to accept: any number that nobody else ever has; 0 = nobody in particular */
    bool guilty; /* the culprit does not do so for a reason that only its end takes away */
};

enum {                /* bits of a verdict; STALL_LASTS comes with BEGINS and KILL too */
    STALL_BEGINS = 1, /* or goes on with another culprit: tell of it */
    STALL_LASTS = 2,
    STALL_KILL = 4, /* the culprit: once for each */
    STALL_OVER = 8  /* one that was told of */
};

struct stall {
    struct stall_look last;
    bool stood;        /* at the last look */
    bool told;         /* of this stall */
    bool named;        /* its culprit was told of */
    bool killed;       /* and killed */
    unsigned lasts_ms; /* since the first look at it; after STALL_OVER: how long it was */
    unsigned guilty_ms;
    unsigned looks; /* in a row at which somebody waited, whatever the progress */
};

/* kill_ms: how long a culprit must have been guilty to be killed; 0 = never. A struct stall begins all zero. */
unsigned stall_judge(struct stall *s, const struct stall_look *look, unsigned kill_ms);

#endif
