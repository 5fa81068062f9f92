/* heritage.h - what a worker inherits from the master by the fork, and all of it. */
#ifndef PROC_HERITAGE_H
#define PROC_HERITAGE_H

#include "proc/settings.h"

struct heritage {
    struct region *region;
    int slot;
    uint32_t generation;
    struct serve_plan *plan; /* listeners, roots and access log are in it */
    struct settings_user user;
    int64_t shutdown_timeout; /* ms */
    int lifeline;             /* read end: readable when the master has died */
    int pass;                 /* descriptors come here: fdpass.h */
    bool json;                /* format of the error log */
};

static inline int heritage_number(const struct heritage *h)
{
    return region_worker(h->slot);
}

#endif
