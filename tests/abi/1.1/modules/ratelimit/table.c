#include "table.h"

#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

/* Without random numbers the limits still hold. */
void table_init(struct table *t)
{
    if (getrandom(t->seed, sizeof t->seed, 0) != sizeof t->seed)
        t->seed[0] = (uint64_t)time(NULL);
}

static _Bool is_own(const struct bucket *b, const uint64_t id[2])
{
    return b->id[0] == id[0] && b->id[1] == id[1];
}

/* Is it the better one to lose? */
static _Bool goes_before(const struct bucket *b, const struct bucket *other)
{
    return !b->held && (!other || b->full_at < other->full_at);
}

/* The name comes last: who is killed before has made an empty place, and no bucket of somebody with another one's credit. */
static void give_to(struct bucket *b, const uint64_t id[2], int64_t now)
{
    b->id[0] = b->id[1] = 0;
    atomic_signal_fence(memory_order_seq_cst);
    b->at = b->full_at = now;
    b->credit = INT64_MAX;
    atomic_signal_fence(memory_order_seq_cst);
    b->id[0] = id[0];
    b->id[1] = id[1];
}

struct bucket *table_find(struct table *t, const uint64_t id[2], int64_t now, _Bool *forgotten)
{
    struct bucket *set = t->all + id[0] % TABLE_SETS * TABLE_WAYS, *last = NULL;
    *forgotten = 0;
    for (int i = 0; i < TABLE_WAYS; i++) {
        if (is_own(&set[i], id))
            return &set[i];
        if (goes_before(&set[i], last))
            last = &set[i];
    }
    if (!last)
        return NULL;
    *forgotten = (last->id[0] || last->id[1]) && last->full_at > now;
    give_to(last, id, now);
    return last;
}

/* Clocks of processes may differ by the length of a callback. The time before the credit: who is killed in between has
 * lost what has been gained. */
int64_t bucket_wait(struct bucket *b, struct rate rate, int64_t now)
{
    if (!rate.requests)
        return 0;
    const int64_t full = rate.burst * rate.per, enough = full / rate.requests + 1;
    const int64_t passed = now > b->at ? now - b->at : 0;
    int64_t credit = b->credit < full ? b->credit : full;
    credit += (passed < enough ? passed : enough) * rate.requests;
    if (now > b->at)
        b->at = now;
    atomic_signal_fence(memory_order_seq_cst);
    b->credit = credit < full ? credit : full;
    const int64_t missing = rate.per - b->credit;
    return missing > 0 ? (missing + rate.requests - 1) / rate.requests : 0;
}

void bucket_take(struct bucket *b, struct rate rate)
{
    if (!rate.requests)
        return;
    const int64_t missing = rate.burst * rate.per - (b->credit - rate.per);
    b->full_at = b->at + (missing + rate.requests - 1) / rate.requests;
    atomic_signal_fence(memory_order_seq_cst);
    b->credit -= rate.per;
}
