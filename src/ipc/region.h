/* region.h - makes the shared memory of layout.h, and the doorbells that go with its slots. */
#ifndef IPC_REGION_H
#define IPC_REGION_H

#include "ipc/layout.h"

#include <stddef.h>

struct region {
    struct ipc_header *header;
    struct ipc_turn *turn;
    struct ipc_counter_name *names; /* IPC_MODULE_COUNTERS of them */
    struct ipc_module *modules;     /* IPC_MODULES of them */
    struct ipc_slot *slots;
    unsigned nslots;
    size_t size;
    int *bells; /* one eventfd per slot, made before any fork: rung to kick the slot's process */
    int master_bell; /* eventfd: a worker has changed its state, look */

    struct ipc_mail *mail;
    struct ipc_topic *topics;        /* IPC_TOPICS of them */
    struct ipc_latest *latest;       /* IPC_LATEST of them */
    struct ipc_mail_slot *mailboxes; /* nslots of them */
    _Atomic uint64_t *ring;          /* mail->cells of IPC_MAIL_CELL bytes */
};

/* Slots for max_workers. Master, before the first fork. 0 or -errno. */
int region_new(struct region *r, unsigned max_workers);
void region_free(struct region *r);

/* The number of a module's counter by "module.name": a known one keeps its number (and its value), a new one gets
 * the next; -ENOSPC when all are used. Master only. */
int region_counter(struct region *r, const char *name, const char *help);

/* The number of a module, 1..: a known name keeps its number, a new one gets the next; the version is the latest that was
 * given. 0 when all are used, or the name is too long. Master only. */
unsigned region_module(struct region *r, const char *name, const char *version);

static inline struct ipc_slot *region_slot(const struct region *r, int slot)
{
    return &r->slots[slot];
}
/* Of a worker's slot: its number, 1.., as logs, titles, metrics and modules count them. */
static inline int region_worker(int slot)
{
    return slot - IPC_SLOT_WORKERS + 1;
}
/* w: the slot's own process. No lock and no locked instruction: it has one writer. */
static inline void region_add(struct ipc_slot *s, enum ipc_counter c, uint64_t by)
{
    atomic_store_explicit(&s->counters[c],
                          atomic_load_explicit(&s->counters[c], memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* w: the process that the buckets belong to. */
static inline void region_count(struct ipc_buckets *b, uint64_t us)
{
    unsigned bits = us > 1 ? 64u - (unsigned)__builtin_clzll(us - 1) : 0;
    _Atomic uint64_t *n = &b->count[bits < IPC_BUCKETS ? bits : IPC_BUCKETS - 1];

    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&b->sum_us, atomic_load_explicit(&b->sum_us, memory_order_relaxed) + us,
                          memory_order_relaxed);
}

/* w: the slot's own process. */
static inline void region_time(struct ipc_slot *s, enum ipc_histogram h, uint64_t us)
{
    region_count(&s->histograms[h], us);
}

#endif
