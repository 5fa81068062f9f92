/* generation.h - workers that run on the same settings, from their first fork to their last exit.
 *
 *     STARTING --all READY: commit--> LIVE --drain--> DRAINING --last worker gone--> freed
 *         |
 *         +--one dies, or time is over: roll back--> DRAINING (cut)
 *
 * It decides nothing: when to spawn, drain or give up is the master's business (keeper.c, launch.c). */
#ifndef PROC_GENERATION_H
#define PROC_GENERATION_H

#include "proc/crew.h"
#include "proc/heritage.h"
#include "proc/listen.h"
#include "proc/logs.h"
#include "proc/respawn.h"

#define GENERATION_START_MS 30000 /* a worker that is not READY by then is killed */
#define GENERATION_KILL_MS  2000  /* after its deadline a worker gets SIGKILL */

enum generation_state {
    GENERATION_STARTING,
    GENERATION_LIVE,
    GENERATION_DRAINING
};

struct generation {
    struct list node;
    struct crew *crew;
    uint32_t number;
    uint32_t revision; /* how often its run-time settings have changed */
    enum generation_state state;
    struct settings *settings;
    struct listen_set listens;
    struct logs logs;
    unsigned wanted; /* workers */
    bool wants_primary;
    bool undone;       /* rolled back: its workers have never taken a connection */
    uint64_t until;    /* deadline of the drain, monotonic ms; 0 = none */
    struct timer kill; /* set while there is a deadline */
};

/* A generation of `wanted` workers with slots of their own, none forked yet. Takes over all three.
 * NULL when there are too few slots (nothing is taken over then). */
struct generation *generation_new(struct crew *c, uint32_t number, struct settings *s,
                                  struct listen_set *listens, struct logs *logs);
/* Frees it, once no worker is left. Closes sockets that are not in `keep`. */
void generation_free(struct generation *g, const struct listen_set *keep);
/* Gives back what a draining generation no longer needs: settings and sockets that are not in
 * `keep`. */
void generation_strip(struct generation *g, const struct listen_set *keep);

/* Forks a process that runs on the settings of g in that slot: its pid or -errno; *pass is our end of its socket pair.
 * Never returns in the child. */
struct generation_child {
    int slot;
    unsigned position;
    int (*run)(const struct heritage *h); /* gives the exit status */
};
pid_t generation_fork(struct generation *g, const struct generation_child *child, int *pass);
/* Forks the worker: 0 or -errno. */
int generation_spawn(struct generation *g, struct worker *w);
/* One more worker; NULL if there is no slot. */
struct worker *generation_add(struct generation *g);
/* The slot is given up (its process has gone, or never was). */
void generation_drop(struct generation *g, struct worker *w);
/* The workers of g in order of slots; NULL w: the first. */
struct worker *generation_next(const struct generation *g, const struct worker *w);
unsigned generation_count(const struct generation *g);       /* that have a process */
unsigned generation_connections(const struct generation *g); /* open ones of its workers */
unsigned generation_ready(const struct generation *g);       /* that are READY */
unsigned generation_accepting(const struct generation *g); /* that take connections, or soon will */

/* For listeners with policy reuseport. generation_listen: as many of their sockets listen as workers are wanted. A
 * worker that was forked before does not know of it but by generation_deal, so not while a next generation starts, which may
 * have another policy. */
void generation_listen(struct generation *g);
/* Says who accepts from which of these sockets, and rings the workers when anything has changed. */
void generation_deal(struct generation *g);

/* Tells one worker, or all, to drain until then (monotonic ms; 0 = no deadline); what is left 2 s
 * later is killed. An earlier deadline of the whole generation stays. */
void generation_drain_one(struct generation *g, struct worker *w, uint64_t until_ms);
void generation_drain(struct generation *g, uint64_t until_ms);
/* Tells all to end now; what is left 2 s later is killed. */
void generation_cut(struct generation *g);

/* A process of the crew has ended, and is a zombie yet: clears its slot and its place in the mail, gives its pid back, lets
 * the others look again at what they listen to, and says how it ended. The worker keeps its slot (w->pid is 0). */
struct respawn_death generation_bury(struct worker *w, int status);

#endif
