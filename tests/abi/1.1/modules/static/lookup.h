/* lookup.h - files that are looked for on a thread, since the disk may take its time.
 *
 * There is at most one lookup under way for each name: who asks for the same waits for it. It goes on when a client has
 * gone, and what it finds is kept for the next. A request that has waited is called again and searches from the start; what it has
 * learnt so far is with it, so that it asks for each name once. */
#ifndef STATIC_LOOKUP_H
#define STATIC_LOOKUP_H

#include "file.h"

/* What a lookup has found, taken over: into the cache. `old` as in ask. The result for a request: 0 and a file with a reference,
 * or -errno. */
typedef int lookup_keep(const struct file_ask *ask, uint64_t hash, int rc, struct file *found,
                        struct file *old, int64_t asked, struct file **out);

/* p: of this worker. `resume` is called for a request when what it waits for is known. */
void lookup_init(cs_proc *p, lookup_keep *keep, void (*resume)(cs_req *r));
/* May files be looked for on threads here? */
_Bool lookup_is_ready(void);

/* What this request has learnt of that name: true, *rc, and *out with a reference where that is 0. */
_Bool lookup_known(cs_req *r, uint16_t root, cs_str path, int *rc, struct file **out);

/* The request waits for that name. `old` belongs to the caller. disk: where to put what kind of disk it is, or NULL where that is known;
 * valid: how old what is found may be, ms. 0, -EBUSY: too many wait already, or -ENOMEM. */
int lookup_wait(cs_req *r, const struct file_ask *ask, uint64_t hash, struct file *old,
                enum file_disk *disk, int64_t valid);

extern cs_counter *lookup_waits, *lookup_refused;

#endif
