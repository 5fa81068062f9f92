/* bucket.c - a bucket's credit counts milliseconds times requests: it gains `requests` in each millisecond, and a request
 * costs `per`. Whole numbers, so nothing gets lost. */
#include "bucket.h"

#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

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

/* Without random numbers the limits still hold. */
void bucket_init(struct buckets *b)
{
    if (getrandom(b->seed, sizeof b->seed, 0) != sizeof b->seed)
        b->seed[0] = (uint64_t)time(NULL);
}

/* Which clients share a set depends on the seed: multiplied by it, and stirred so that all bits count. */
static uint64_t set_of(const struct buckets *b, const struct bucket *own)
{
    uint64_t h = b->seed[0] ^ own->place;
    const uint64_t parts[2] = {own->client >> 32, own->client & UINT32_MAX};
    for (int i = 0; i < 2; i++) {
        h = (h ^ parts[i]) * (b->seed[1] | 1);
        h ^= h >> 32;
        h *= 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h % BUCKET_SETS;
}

int64_t bucket_take(struct buckets *all, struct bucket own, struct rate rate)
{
    struct bucket *b = find(all->all + set_of(all, &own) * BUCKET_WAYS, &own);
    own.credit = rate.burst * rate.per;
    if (is_own(b, &own))
        fill(&own, b, rate.requests, own.credit);
    int64_t missing = rate.per - own.credit;
    own.credit -= missing > 0 ? 0 : rate.per;
    put(b, &own);
    return missing > 0 ? (missing + rate.requests - 1) / rate.requests : 0;
}
