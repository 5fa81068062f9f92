/* crash.h - a process that gets a fault signal (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS) writes to
 * the error log what it knows, then dies of the same signal, as if nobody had looked: its parent sees it, and core files show the place.
 *
 * Two lines: the sentence first, since taking the backtrace may be one fault too many for a process whose stack is spoilt.
 *
 *     SIGSEGV in module "sse" 1.0, hook on_message, at sse.so+0x1a3c (address 0x10) topic=sse.news ...
 *     backtrace of the SIGSEGV: sse.so+0x1a3c sse.so+0x1b02 cserver+0x8a1f4
 *
 * A place is OBJECT+OFFSET as `addr2line -e OBJECT OFFSET` takes it; of calls it is the call, not where it returns to.
 * From the signal on only what a signal handler may call is called, on a stack of its own. Another fault meanwhile ends
 * the process at once; what hangs is ended after some seconds. A handler that was there before (a sanitizer's) is
 * called afterwards, and then decides how the process ends. */
#ifndef OS_CRASH_H
#define OS_CRASH_H

#include "base/log.h"
#include "base/note.h"

#define CRASH_PAIRS 16

struct crash {
    int signal;
    bool has_address;
    uintptr_t address; /* that could not be touched */
    char at[96]; /* OBJECT+OFFSET of the instruction; of a call to nowhere also that of the call */
    int sender;  /* pid of another process that sent the signal; 0: nobody did */
    /* What is written: explain adds to them. message begins "SIGSEGV". */
    struct note message;
    struct log_pair pairs[CRASH_PAIRS];
    size_t npairs;
};

/* From now on in this process, its later threads included, and not in children that it forks. A thread has a stack for the
 * handler only if it makes one (sigaltstack). explain runs in the signal handler, and says in whose
 * code and doing what; may be NULL. */
void crash_watch(void (*explain)(struct crash *c));
/* Which objects are there now, and where; those that come later are only known by address. */
void crash_note_objects(void);
/* What the object around this address is called in reports; after crash_note_objects. */
void crash_name_object(const void *inside, const char *name);
/* Where the handler itself looks for objects (only safe while there is one thread), and what it calls one that was loaded
 * from a descriptor; copied. */
void crash_look_late(const char *name);

#endif
