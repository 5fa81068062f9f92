/* debut.h - new settings are tried on their first worker, before they go live: canary.h asks it, this is what becomes
 * of the answers. Part of a reload, and of a start with [reload] probe. */
#ifndef PROC_DEBUT_H
#define PROC_DEBUT_H

#include "event/loop.h"
#include "proc/canary.h"
#include "proc/generation.h"

struct master;

struct debut {
    struct worker *worker; /* NULL: nothing is under way */
    char name[48];         /* "worker 3 (pid 4711)" */
    struct canary canary;
    struct loop_io io;    /* of its pipe */
    struct timer limit;   /* for all of it */
    struct timer verdict; /* a lost connection: is the worker about to be found dead? */
};

void debut_init(struct master *m);
/* Is there anything to ask the workers of g? */
bool debut_wanted(const struct generation *g);
/* w is ready; ends in launch_judged, never inside of this call. 0 or -errno. */
int debut_begin(struct master *m, struct worker *w);
/* Was it the child that asks? */
bool debut_reaped(struct master *m, pid_t pid, int status);
/* If w is the worker that is asked, and has died: adds what it was asked. */
void debut_died(struct master *m, const struct worker *w, struct buf *out);
/* Forgets what is under way. */
void debut_cancel(struct master *m);
/* In other children. */
void debut_shed(struct master *m);

#endif
