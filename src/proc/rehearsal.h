/* rehearsal.h - everything that settings ask for is tried once, in the probe: modules, compiling, shared memory, CPUs,
 * addresses, logs, files. What is wrong goes to their report. Where all goes well as far as the modules' checks, it leaves
 * the process as the workers' user. */
#ifndef PROC_REHEARSAL_H
#define PROC_REHEARSAL_H

#include "proc/probe.h"

/* crumb: is told what is done next. */
void rehearsal_run(struct settings *s, const struct probe_ask *ask, struct settings_crumb *crumb);

#endif
