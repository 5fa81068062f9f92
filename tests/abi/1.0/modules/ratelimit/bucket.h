/* bucket.h - buckets of tokens for clients, in memory that processes share: who calls has a lock around it. */
#ifndef RATELIMIT_BUCKET_H
#define RATELIMIT_BUCKET_H

#include <stddef.h>
#include <stdint.h>

struct bucket {
    uint64_t place, client; /* whose it is; place 0: nobody's */
    int64_t at, credit;     /* monotonic ms of the last request; what was left then */
};

/* So many requests in so many milliseconds, and `burst` at once. */
struct rate {
    int64_t requests, per, burst;
};

#define BUCKET_WAYS 16
#define BUCKET_SETS 1024

/* What is in the zone. Nobody knows the seed, so nobody can choose addresses that push somebody's bucket out. */
struct buckets {
    uint64_t seed[2];
    struct bucket all[BUCKET_SETS * BUCKET_WAYS];
};

void bucket_init(struct buckets *b);
uint64_t bucket_hash(uint64_t seed, const void *data, size_t n);
/* A token for `own`, of which place (not 0), client and at (now) are set. 0: it had one; else milliseconds to wait. Where
 * there is no room for another bucket, the one that has rested longest goes. May be killed anywhere in between: what it
 * leaves gives no tokens to `own`. */
int64_t bucket_take(struct buckets *b, struct bucket own, struct rate rate);

#endif
