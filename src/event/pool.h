/* pool.h - threads for work that may block, and the way back to the loop.
 *
 * pool_add queues a job; a thread calls job->work; then, on the loop and in the order in which work ended, job->over is
 * called, once, also for those that pool_close drops. Between pool_add and the end the struct pool_job belongs to the pool, and what it lies in has to stay.
 * Threads are made when there is work and none is free. All calls but `work` come from the loop's thread. A process with
 * threads does not fork. */
#ifndef EVENT_POOL_H
#define EVENT_POOL_H

#include "event/loop.h"

#include <pthread.h>

enum pool_state {
    POOL_IDLE, /* not in the pool */
    POOL_WAITING,
    POOL_RUNNING,
    POOL_FINISHED /* work has returned, over is still to be called */
};

struct pool_job {
    struct list node, all; /* in one of the pool's lists by state; in pool.jobs */
    enum pool_state state; /* written under the lock */
    uint64_t serial;       /* 1.. in the order of pool_add */
    bool always;           /* waits for a thread however many do: there is a bound elsewhere */
    void (*work)(struct pool_job *job);
    void (*over)(struct pool_job *job, bool ran); /* ran: work has been called */
};

struct pool {
    struct loop *loop;
    struct loop_io bell; /* an eventfd: something has finished */
    unsigned max_threads, max_waiting;
    pthread_t *threads;
    unsigned nthreads;
    struct list
        jobs; /* all that are in the pool, the oldest first; only the loop's thread looks at it */
    uint64_t serial; /* of the last one */
    bool closed;

    pthread_mutex_t lock;
    pthread_cond_t more, less; /* jobs for the threads; jobs that run */
    /* Under the lock: */
    struct list waiting, finished;
    unsigned nwaiting, nrunning, nfinished, nfree; /* nfree: threads that wait for work */
    unsigned nbound;                               /* of nwaiting, those that are not `always` */
    bool rung, ending;
};

/* Neither threads nor descriptors before the first job, or pool_open. */
void pool_init(struct pool *p, struct loop *loop, unsigned max_threads, unsigned max_waiting);

/* Takes the descriptor that it needs, so that no job fails when they have run out. 0 or -errno. */
int pool_open(struct pool *p);

/* 0; -EAGAIN: max_waiting wait already (not with job->always), or the pool is closed; another -errno: no thread can be made, and there is none. */
int pool_add(struct pool *p, struct pool_job *job);

/* Takes a job out, whose over is not called then. False: its work runs. Nothing happens to a job that is not in a pool. */
bool pool_remove(struct pool *p, struct pool_job *job);

/* The serial of the oldest job that is in the pool; UINT64_MAX: it is empty. */
uint64_t pool_oldest(const struct pool *p);

/* Waits at most ms milliseconds until some work has ended, and calls over: for who waits in the loop no more. */
void pool_wait(struct pool *p, int ms);

/* No more jobs. Drops what waits, waits at most ms milliseconds for what runs, calls over for all whose work has returned,
 * and ends the threads. False: some work still runs; whatever it may use, the pool too, has to stay as long as the process,
 * which is to _exit. */
bool pool_close(struct pool *p, int ms);

#endif
