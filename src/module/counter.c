/* counter.c - a handle is only a number in the region; this process has one region and one slot, so
 * they are kept here and not in every handle. */
#include "module/counter.h"

#include "base/check.h"
#include "ipc/board.h"

#include <errno.h>

struct cs_counter {
    unsigned index;
};

static struct cs_counter handles[IPC_MODULE_COUNTERS];
static const struct region *shared;
static struct ipc_slot *own;

static int declare(const cs_module *desc, const cs_counter_def *def, struct region *r,
                   struct buf *error)
{
    struct buf name = {0};
    buf_printf(&name, "%s.%s", desc->name, def->name);
    int index = region_counter(r, name.p, def->help);
    if (index < 0) {
        buf_printf(
            error, "module \"%s\": no room for its counter \"%s\": %s", desc->name, def->name,
            index == -ENOSPC ? "all counters of this server are in use, those of modules that "
                               "have gone included; a restart frees them"
                             : "its name is too long");
    } else {
        handles[index].index = (unsigned)index;
        *def->ref = &handles[index];
    }
    buf_free(&name);
    return index < 0 ? -1 : 0;
}

int counter_declare(const cs_module *desc, struct region *r, struct buf *error)
{
    shared = r;
    for (const cs_counter_def *def = desc->counters; def && def->name; def++)
        if (declare(desc, def, r, error) < 0)
            return -1;
    return 0;
}

void counter_set_slot(struct region *r, int slot)
{
    check(slot >= 0 && (unsigned)slot < r->nslots);
    shared = r;
    own = region_slot(r, slot);
}

/* One writer per shard: a load and a store, and no locked instruction. */
void counter_add(cs_counter *c, int64_t by)
{
    check(own && c);
    _Atomic uint64_t *shard = &own->module_counters[c->index];
    uint64_t now = atomic_load_explicit(shard, memory_order_relaxed);
    atomic_store_explicit(shard, now + (uint64_t)by, memory_order_relaxed);
}

uint64_t counter_sum(const cs_counter *c)
{
    check(shared && c);
    return board_module_sum(shared, c->index);
}
