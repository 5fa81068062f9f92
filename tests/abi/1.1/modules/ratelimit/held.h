/* held.h - requests under way, one record for each, in memory that processes share: who calls has the lock of the zone
 * around it.
 *
 * A worker that has any holds a robust mutex here, which the kernel marks when the worker dies, however that happens: so
 * others know at once, and for certain, whose records count for nothing. They look when they are about to refuse
 * something, and so nobody is refused for the sake of the dead. */
#ifndef RATELIMIT_HELD_H
#define RATELIMIT_HELD_H

#include "table.h"

#include <pthread.h>

#define HELD_WORKERS 1024
#define HELD_MOST    65536

struct held {
    struct held_worker {
        pthread_mutex_t alive;
        uint32_t count; /* its requests */
    } workers[HELD_WORKERS];
    uint32_t used, free; /* places that ever were in use; first free one of them + 1, 0: none */
    struct held_request {
        uint32_t bucket;
        uint32_t next;   /* in the list of the free ones */
        uint32_t worker; /* + 1; 0: free */
    } all[HELD_MOST];
};

void held_init(struct held *h);
/* Somebody has died with the lock: all that can be counted is counted anew. */
void held_recover(struct held *h, struct table *t);
/* One more under way; its number for held_give, or -1: there is no room. `slot`: any number, another one for each worker. */
int held_take(struct held *h, struct table *t, struct bucket *b, unsigned slot);
void held_give(struct held *h, struct table *t, int number);
/* Forgets what dead workers had. */
void held_bury(struct held *h, struct table *t);

#endif
