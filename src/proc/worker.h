/* worker.h - the life of one worker process.
 *
 *     STARTING --serve_new--> READY --QUIT, TERM or master gone--> DRAINING --no connection left-->
 * exit 0
 *                                                                     |
 *                                                                     +--deadline, INT-->
 * connections cut, exit 0
 *
 * SIGQUIT: drain until the slot's drain_until. SIGTERM (from an operator): drain within
 * shutdown_timeout. SIGINT: now. SIGUSR1: a harmless look. Everything else is ignored. */
#ifndef PROC_WORKER_H
#define PROC_WORKER_H

#include "proc/heritage.h"

/* In the child, after it has let go of what is the master's. Returns the exit status. */
int worker_run(const struct heritage *h);

#endif
