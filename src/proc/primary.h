/* primary.h - the life of the primary: the process for what modules do once per server. It accepts nothing.
 *
 *     STARTING --host_open--> READY --QUIT, TERM, or master and workers gone--> DRAINING --mail handled--> exit 0
 *                               |
 *                               +--INT--> exit 0
 *
 * Its end: the messages that were there are handled, then the stop hooks run, then what is still to be sent is sent; for
 * all of that it has PRIMARY_END_MS. SIGUSR1 is the doorbell of the mail: a harmless look. Everything else is ignored. */
#ifndef PROC_PRIMARY_H
#define PROC_PRIMARY_H

#include "proc/heritage.h"

#define PRIMARY_END_MS    1500
#define PRIMARY_KILL_MS   2000 /* the master kills it so long after it was told */
#define PRIMARY_ORPHAN_MS 1000 /* after shutdown_timeout it does not wait for workers any longer */

/* In the child, after it has let go of what is the master's. Returns the exit status. */
int primary_run(const struct heritage *h);

#endif
