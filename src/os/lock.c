/* lock.c - robust: the kernel marks the mutex of an owner that dies, and the next one to try gets
 * it.
 *
 * The type is error-checking: a second take by the owner and a give by somebody else are bugs that
 * show at once. glibc then answers a trylock by the owner with EDEADLK, which is LOCK_BUSY here. */
#include "os/lock.h"

#include "base/check.h"

#include <errno.h>

void lock_init(struct lock *l)
{
    pthread_mutexattr_t attr;
    check(pthread_mutexattr_init(&attr) == 0);
    check(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0);
    check(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
    check(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK) == 0);
    check(pthread_mutex_init(&l->mutex, &attr) == 0);
    pthread_mutexattr_destroy(&attr);
}

/* The mutex is made consistent before its user repairs anything: should the user die at that, the
 * next owner hears of it again. */
static enum lock_result result_of(struct lock *l, int rc)
{
    switch (rc) {
    case 0:
        return LOCK_TAKEN;
    case EOWNERDEAD:
        check(pthread_mutex_consistent(&l->mutex) == 0);
        return LOCK_RECOVERED;
    case ENOTRECOVERABLE:
        return LOCK_BROKEN;
    default:
        check(rc == EBUSY);
        return LOCK_BUSY;
    }
}

enum lock_result lock_try(struct lock *l)
{
    int rc = pthread_mutex_trylock(&l->mutex);
    return result_of(l, rc == EDEADLK ? EBUSY : rc);
}

enum lock_result lock_take(struct lock *l)
{
    int rc = pthread_mutex_lock(&l->mutex);
    check(rc != EDEADLK);
    return result_of(l, rc);
}

void lock_give(struct lock *l)
{
    check(pthread_mutex_unlock(&l->mutex) == 0);
}
