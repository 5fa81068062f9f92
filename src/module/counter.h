/* counter.h - what a cs_counter of a module is: a number in the region, one shard per slot. */
#ifndef MODULE_COUNTER_H
#define MODULE_COUNTER_H

#include "base/buf.h"
#include "ipc/region.h"

/* Makes the counters that desc declares and fills in its refs. Master (or probe), before the fork. 0, or -1 with a
 * sentence. */
int counter_declare(const cs_module *desc, struct region *r, struct buf *error);
/* The slot whose shard this process writes. */
void counter_set_slot(struct region *r, int slot);
void counter_add(cs_counter *c, int64_t by);
uint64_t counter_sum(const cs_counter *c);

#endif
