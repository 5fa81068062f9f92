/* heritage.h - what a worker inherits from the master by the fork, and all of it. */
#ifndef PROC_HERITAGE_H
#define PROC_HERITAGE_H

#include "proc/settings.h"

struct heritage {
    struct region *region;
    int slot;
    uint32_t generation;
    struct serve_plan *plan; /* listeners, roots and access log are in it */
    struct conf *conf;       /* the plan's; run-time settings may still change: tune.h */
    uint32_t revision;       /* of its run-time settings at the fork */
    struct settings_user user;
    int lifeline; /* read end: readable when the master has died */
    int pass;     /* descriptors come here: fdpass.h */
    bool json;    /* format of the error log */
};

/* How long a process that is told to end may take, ms. */
static inline uint64_t heritage_shutdown(const struct heritage *h)
{
    return (uint64_t)h->conf->server.shutdown_timeout;
}

static inline int heritage_number(const struct heritage *h)
{
    return region_worker(h->slot);
}

#endif
