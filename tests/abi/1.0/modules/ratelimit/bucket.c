/* bucket.c - a bucket's credit counts milliseconds times requests: it gains `requests` in each millisecond, and a request
 * costs `per`. Whole numbers, so nothing gets lost. */
#include "bucket.h"

#include <stdatomic.h>

uint64_t bucket_hash(uint64_t seed, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++)
        seed = (seed ^ p[i]) * 0x100000001b3u;
    return seed ^ seed >> 29;
}

static _Bool is_own(const struct bucket *b, const struct bucket *own)
{
    return b->place == own->place && b->client == own->client;
}

/* Its own, or the one of its set that has rested longest. */
static struct bucket *find(struct bucket *set, const struct bucket *own)
{
    struct bucket *b = set;
    for (int i = 0; i < BUCKET_WAYS; i++) {
        if (is_own(&set[i], own))
            return &set[i];
        b = set[i].at < b->at ? &set[i] : b;
    }
    return b;
}

/* What it has by now; never more than `full`. Clocks of processes may differ by the length of a callback. */
static void fill(struct bucket *own, const struct bucket *was, int64_t requests, int64_t full)
{
    int64_t enough = full / requests + 1, passed = own->at > was->at ? own->at - was->at : 0;
    own->at = own->at > was->at ? own->at : was->at;
    own->credit = was->credit + (passed < enough ? passed : enough) * requests;
    own->credit = own->credit < full ? own->credit : full;
}

/* The time before the credit: who is killed in between has lost what has been gained. */
static void put(struct bucket *b, const struct bucket *own)
{
    if (!is_own(b, own))
        b->place = 0;
    atomic_signal_fence(memory_order_seq_cst);
    b->at = own->at;
    b->client = own->client;
    atomic_signal_fence(memory_order_seq_cst);
    b->credit = own->credit;
    atomic_signal_fence(memory_order_seq_cst);
    b->place = own->place;
}

int64_t bucket_take(struct bucket all[BUCKET_SETS * BUCKET_WAYS], struct bucket own,
                    struct rate rate)
{
    uint64_t set = bucket_hash(own.place, &own.client, sizeof own.client) % BUCKET_SETS;
    struct bucket *b = find(all + set * BUCKET_WAYS, &own);
    own.credit = rate.burst * rate.per;
    if (is_own(b, &own))
        fill(&own, b, rate.requests, own.credit);
    int64_t missing = rate.per - own.credit;
    own.credit -= missing > 0 ? 0 : rate.per;
    put(b, &own);
    return missing > 0 ? (missing + rate.requests - 1) / rate.requests : 0;
}
