/* cpu.h - on which CPUs this process may run. */
#ifndef OS_CPU_H
#define OS_CPU_H

#include <stddef.h>

#define CPU_MOST 8192 /* numbers are below it */

/* Numbers of the CPUs of the affinity mask, growing; to be freed. *n = 0 and NULL when the kernel does not tell. */
unsigned *cpu_allowed(size_t *n);
/* From now on this process runs there only. 0 or -errno. */
int cpu_use(unsigned cpu);

#endif
