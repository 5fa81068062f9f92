/* stay.h - has a process been in a module's code for too long? Arithmetic only: looks go in, a verdict comes out.
 *
 * Time counts from look to look: not while the process is held (stopped, frozen, in a debugger), and never more than
 * STAY_MOST_MS for one of them, so that who was suspended together with the master is not blamed for it. */
#ifndef PROC_STAY_H
#define PROC_STAY_H

#include <stdbool.h>
#include <stdint.h>

#define STAY_MOST_MS 1500
#define STAY_KILL_MS 10000  /* after it was told to abort: longer than its report may take */
#define STAY_DUMP_MS 300000 /* the same, while its core file is written */

struct stay_look {
    uint64_t now_ms;
    uint32_t incarnation; /* of the process; 0: there is none */
    bool inside;
    uint64_t since_ms; /* inside: when that began */
    bool held;         /* these need not be known before limits.warn_ms have gone by */
    bool dumping;      /* its core file is being written */
    bool waits;        /* for another process: no reason to end it */
};

struct stay_limits {
    uint64_t warn_ms, kill_ms; /* 0: never */
};

/* Begins as {0}. */
struct stay {
    uint32_t incarnation;
    uint64_t since_ms;
    uint64_t looked_ms, counted_ms, waited_ms; /* the last: of those counted */
    uint64_t aborted_ms;                       /* when it was told to abort; 0: it was not */
    bool told, killed;
};

enum {
    STAY_LONG = 1,  /* to be told */
    STAY_ABORT = 2, /* make it end and say where it is */
    STAY_KILL = 4   /* it did not */
};

unsigned stay_judge(struct stay *s, const struct stay_look *look, const struct stay_limits *limits);

#endif
