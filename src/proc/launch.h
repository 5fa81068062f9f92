/* launch.h - new settings that have been found good start to serve: CANARY, STARTING, SETTLING and OPENING of rollout.c. */
#ifndef PROC_LAUNCH_H
#define PROC_LAUNCH_H

#include "proc/master.h"

/* The first settings are tried too: nobody is served before launch_judged. */
void launch_open(struct master *m);
bool launch_is_opening(const struct master *m);
/* A worker is ready, or has died (false: that is none of its business). */
void launch_ready(struct master *m, struct worker *w);
bool launch_died(struct master *m, const struct worker *w, const char *how);
void launch_judged(struct master *m, const char *why); /* by its first worker; NULL: good */

/* ---- For rollout.c ---- */

/* Opens what the new settings need, and forks their first worker. False: it cannot be opened, their report says why. */
bool launch_begin(struct master *m);
/* Workers have changed their state, or ended. */
void launch_look(struct master *m);
/* The time limit of the rollout is over. */
void launch_late(struct master *m);
/* Goes back, or where it is too late for that, ends it as done. Nothing, in other states than its own. */
void launch_cancel(struct master *m, const char *why);

#endif
