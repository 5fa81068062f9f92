/* inquest.h - what the master says of a process that has ended, and whether a module is to blame: from the wait status and
 * the crumb the process has left, so it also knows of deaths that nobody could report himself (SIGKILL, no memory). */
#ifndef PROC_INQUEST_H
#define PROC_INQUEST_H

#include "proc/whereabouts.h"

#include <sys/types.h>

struct master;

struct inquest {
    struct whereabouts at;
    bool wrong;     /* it should not have ended like that */
    bool by_module; /* a fault in a module's code, or a call of exit there */
    uint32_t generation;
    uint32_t refused;    /* module << 8 | hook that has failed at the start, 0 = none */
    char short_how[160]; /* "was killed by SIGSEGV": the same for all that die so */
    /* "(pid 4711) was killed by SIGKILL"; in a module "(pid 4711, generation 3) was killed by SIGSEGV in module "sse" 1.0,
     * hook on_message, at sse.so+0x1a3c"; both with "; 3 connections lost" */
    char how[400];
};

/* Before its slot is cleared. */
void inquest_open(struct inquest *q, const struct region *r, int slot, pid_t pid, int status);
/* Adds to `how` where the settings name the module, if it was its start that went wrong. */
void inquest_place(struct inquest *q, const struct conf *conf);
/* Logs a sentence with what the process was doing behind it; as an error where a module is to blame. */
void inquest_log(const struct inquest *q, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Counts it against the module, which may be one crash too many; when all else that follows from the death is done. */
void inquest_judge(struct master *m, const struct inquest *q);
/* Other settings have gone live, after those of the generation `before`: all modules may try again. */
void inquest_switch(struct master *m, uint32_t before);

#endif
