/* quarantine.h - a module that crashes again and again is no longer called, so that everything else is served: its
 * requests are answered with 503, its hooks, timers and messages are left out. It ends with the settings it began with.
 *
 * The arithmetic looks at nothing but its arguments; when it comes to it, and what is said then, is the master's. */
#ifndef PROC_QUARANTINE_H
#define PROC_QUARANTINE_H

#include "ipc/layout.h"

#include <stdbool.h>

/* A process has died in its code. True: that was the `limit`-th time within window_ms; a limit of 0 is never reached. */
bool quarantine_count(struct ipc_module *m, uint64_t now_ms, unsigned limit, uint64_t window_ms);
/* Later settings are live: what is past does not count any more. */
void quarantine_forget(struct ipc_module *m);

/* Did a process that ended with this wait status die of the module's code it was in? A fault, or a call of exit. reported:
 * it has written a crash report. */
bool quarantine_is_fault(int status, bool reported);

#endif
