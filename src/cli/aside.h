/* aside.h - work in a throw-away child: whatever a module does there while it is loaded or let go, this process lives to
 * tell. */
#ifndef CLI_ASIDE_H
#define CLI_ASIDE_H

#include "base/buf.h"

struct aside {
    struct buf out; /* what the work has left there */
    bool whole;     /* it came to its end; else: */
    char what[128]; /* it was doing this, */
    char how[64];   /* and "was killed by SIGSEGV" */
};

/* Runs work(arg, out) in the child, whose standard output is standard error meanwhile; at most ten seconds. 0 or -errno.
 * aside_free is due. */
int aside_run(struct aside *a, void (*work)(void *arg, struct buf *out), void *arg);
/* In the child: what comes next, such as "loading it". */
void aside_doing(const char *what);
/* "loading it: the process that tried it was killed by SIGSEGV" */
void aside_tell(const struct aside *a, struct buf *out);
void aside_free(struct aside *a);

#endif
