#include "held.h"

#include <errno.h>
#include <stdatomic.h>

/* This worker's place; -1: it has none, and no requests. */
static int own = -1;

void held_init(struct held *h)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    for (int i = 0; i < HELD_WORKERS; i++)
        pthread_mutex_init(&h->workers[i].alive, &attr);
    pthread_mutexattr_destroy(&attr);
}

/* The mutex is not held afterwards, and no record is left: whoever dies here, the next one does it again. */
static void free_record(struct held *h, struct table *t, uint32_t i)
{
    struct held_request *q = &h->all[i];
    struct held_worker *w = &h->workers[q->worker - 1];
    q->worker = 0;
    t->all[q->bucket].held -= t->all[q->bucket].held > 0;
    w->count -= w->count > 0;
    q->next = h->free;
    h->free = i + 1;
}

static void free_all_of(struct held *h, struct table *t, unsigned worker)
{
    for (uint32_t i = 0; i < h->used && h->workers[worker].count; i++)
        if (h->all[i].worker == worker + 1)
            free_record(h, t, i);
}

/* Takes a place whose worker is not there any more, or that nobody has. */
static _Bool take_place(struct held *h, struct table *t, unsigned i)
{
    const int rc = pthread_mutex_trylock(&h->workers[i].alive);
    if (rc && rc != EOWNERDEAD)
        return 0;
    free_all_of(h, t, i);
    if (rc)
        pthread_mutex_consistent(&h->workers[i].alive);
    return 1;
}

static _Bool is_there(struct held *h, struct table *t, unsigned slot)
{
    for (unsigned i = 0; own < 0 && i < HELD_WORKERS; i++)
        if (take_place(h, t, (slot + i) % HELD_WORKERS))
            own = (int)((slot + i) % HELD_WORKERS);
    return own >= 0;
}

/* A place is only held while there is something in it. */
static void leave(struct held *h)
{
    if (own < 0 || h->workers[own].count)
        return;
    pthread_mutex_unlock(&h->workers[own].alive);
    own = -1;
}

void held_bury(struct held *h, struct table *t)
{
    for (unsigned i = 0; i < HELD_WORKERS; i++)
        if (h->workers[i].count && (int)i != own && take_place(h, t, i))
            pthread_mutex_unlock(&h->workers[i].alive);
}

static void count_again(struct held *h, struct table *t)
{
    for (unsigned i = 0; i < HELD_WORKERS; i++)
        h->workers[i].count = 0;
    for (size_t i = 0; i < TABLE_SETS * TABLE_WAYS; i++)
        t->all[i].held = 0;
    h->free = 0;
    for (uint32_t i = 0; i < h->used; i++) {
        struct held_request *q = &h->all[i];
        if (q->worker) {
            h->workers[q->worker - 1].count++;
            t->all[q->bucket].held++;
        } else {
            q->next = h->free;
            h->free = i + 1;
        }
    }
}

void held_recover(struct held *h, struct table *t)
{
    count_again(h, t);
    held_bury(h, t);
}

static int new_record(struct held *h)
{
    const uint32_t i = h->free ? h->free - 1 : h->used;
    if (i == HELD_MOST)
        return -1;
    if (h->free)
        h->free = h->all[i].next;
    else
        h->used++;
    return (int)i;
}

/* The worker is named last: from then on the record counts. */
int held_take(struct held *h, struct table *t, struct bucket *b, unsigned slot)
{
    if (!is_there(h, t, slot))
        return -1;
    int i = new_record(h);
    if (i < 0) {
        held_bury(h, t);
        i = new_record(h);
    }
    if (i >= 0) {
        h->all[i].bucket = (uint32_t)(b - t->all);
        atomic_signal_fence(memory_order_seq_cst);
        h->all[i].worker = (uint32_t)own + 1;
        h->workers[own].count++;
        b->held++;
    }
    leave(h);
    return i;
}

void held_give(struct held *h, struct table *t, int number)
{
    free_record(h, t, (uint32_t)number);
    leave(h);
}
