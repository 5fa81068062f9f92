/* table.h - what is known of each key, in memory that processes share: who calls has a lock around it. Whoever is killed
 * in between leaves nothing that gives a key more than it has: see the order of the stores. */
#ifndef RATELIMIT_TABLE_H
#define RATELIMIT_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* `credit` counts milliseconds times requests: it gains `requests` in each millisecond, and a request costs `per`. Whole
 * numbers, so nothing gets lost. */
struct bucket {
    uint64_t id[2];     /* whose it is; 0, 0: nobody's */
    int64_t at, credit; /* monotonic ms of the last request; what was left then */
    int64_t full_at;    /* from then on it is as if it had never come */
    uint32_t held;      /* requests under way: as long as there are any it stays */
};

/* `requests` in `per` milliseconds, `burst` at once. requests = 0: as many as one likes. */
struct rate {
    int64_t requests, per, burst;
};

#define TABLE_WAYS 16
#define TABLE_SETS 4096

/* Nobody knows the seed, so nobody can choose keys that push somebody's bucket out. */
struct table {
    uint64_t seed[2];
    struct bucket all[TABLE_SETS * TABLE_WAYS];
};

void table_init(struct table *t);
/* What is known by that id, or an unused one that is its own from now on, with a full credit. Where there is no room the
 * one goes that will be full again first, and *forgotten says whether it still mattered. NULL: all that it could take the
 * place of have requests under way. */
struct bucket *table_find(struct table *t, const uint64_t id[2], int64_t now, _Bool *forgotten);

/* Milliseconds to wait for a token, 0: there is one. Brings the credit up to now and takes nothing. */
int64_t bucket_wait(struct bucket *b, struct rate rate, int64_t now);
void bucket_take(struct bucket *b, struct rate rate);

#endif
