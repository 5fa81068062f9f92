/* crew.h - the workers of all generations, by slot, and what generations share: the region, and how to fork. A worker keeps
 * its slot over respawns; its number is the slot's, so numbers are unique over all generations. */
#ifndef PROC_CREW_H
#define PROC_CREW_H

#include "event/loop.h"
#include "ipc/region.h"

#include <sys/types.h>

struct generation;

struct worker {
    struct generation *generation; /* NULL: the slot is free */
    int slot;
    unsigned
        position; /* 0.. among its generation: the least that was free when it was added; who is told to end
                          frees it */
    pid_t pid;      /* 0: none now */
    int pass;       /* our end of its socket pair */
    bool ready;     /* has been READY */
    bool told;      /* to drain or to end */
    uint64_t until; /* told: deadline, monotonic ms; 0 = none */
    bool waiting;   /* for its respawn */
    uint64_t started_ms, ready_ms;
    uint32_t reopen; /* it has to acknowledge log descriptors up to this serial; 0 = none */
    /* It drains: who takes its streams. heir.c */
    uint32_t heirs; /* as often as its slot says, it has been given one */
    int heir;       /* the slot of the last one; 0 = none */
    unsigned share; /* streams that it may give to it */
};

/* As logs, titles and metrics count them: from 1. */
static inline int worker_number(const struct worker *w)
{
    return region_worker(w->slot);
}

struct crew {
    struct region *region;
    struct loop *loop;
    unsigned nworkers; /* slots of workers */
    struct worker *workers;
    int lifeline[2]; /* [1] is held by the master alone */
    uint32_t serial; /* of the last log descriptor that was sent */
    void (*in_child)(void *arg, const struct generation *of); /* lets go of what is the master's */
    void *arg;
};

/* 0 or -errno. The master must not die with the crew in use. */
int crew_init(struct crew *c, struct region *r, struct loop *loop);
void crew_free(struct crew *c);
struct worker *crew_find(struct crew *c, pid_t pid);
unsigned crew_free_slots(const struct crew *c);
/* Number of processes there are. */
unsigned crew_count(const struct crew *c);
/* Takes note of workers that have become READY since the last call; each is passed to on_ready. */
void crew_look(struct crew *c, void (*on_ready)(void *arg, struct worker *w), void *arg);
/* As the worker's slot says it. */
enum ipc_state crew_state(const struct crew *c, const struct worker *w);

#endif
