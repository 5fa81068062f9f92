/* procstat.h - what the kernel tells about another process. */
#ifndef OS_PROCSTAT_H
#define OS_PROCSTAT_H

#include <stdbool.h>
#include <sys/types.h>

#define PROCSTAT_FROZEN 'F' /* by its control group; /proc/PID/stat would say S */

/* The letter of /proc/PID/stat, or PROCSTAT_FROZEN; 0: there is no such process. */
char procstat_state(pid_t pid);
/* "stopped (T)": how it reads behind "it is". */
const char *procstat_words(char state);
/* It does nothing until somebody else lets it: stopped, traced or frozen. */
bool procstat_is_held(char state);

/* A debugger is attached to it, whether it runs or not. */
bool procstat_is_traced(pid_t pid);
/* The kernel is writing its core file. */
bool procstat_is_dumping(pid_t pid);

#endif
