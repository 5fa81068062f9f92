/* lock.h - the one place that names pthread mutexes: robust, process-shared, not
 * priority-inheriting (PI with robust is the combination that hangs in glibc). Lives in shared
 * memory. */
#ifndef OS_LOCK_H
#define OS_LOCK_H

#include <pthread.h>

struct lock {
    pthread_mutex_t mutex;
};

enum lock_result {
    LOCK_TAKEN,
    LOCK_BUSY,      /* someone else holds it (or this process does already) */
    LOCK_RECOVERED, /* taken; the owner had died with it, the lock was made consistent: repair what
                       it guards */
    LOCK_BROKEN /* not recoverable: only after a bug past these calls; glibc then answers a second
                    lock_try with LOCK_BUSY, so end the process */
};

void lock_init(struct lock *l);
enum lock_result lock_try(struct lock *l);  /* never blocks */
enum lock_result lock_take(struct lock *l); /* waits; for short sections only */
void lock_give(struct lock *l);

#endif
