/* turn.h - the accept turn: which worker has the listeners armed. The protocol only: shared memory, one robust
 * lock, one bell per slot; no epoll and no sockets in it.
 *
 *          turn_take            connection accepted: turn_give
 *   FREE ------------> HELD ---------------------------------> FREE + one parked worker is kicked
 *
 * The holder keeps the lock through epoll_wait and passes it on before any handler runs. Nobody ever waits for
 * the lock: it is only tried. A worker that finds it held parks; who gives it up wakes exactly one parked worker
 * (flag and bell). The order of the steps in a worker's round matters:
 *
 *   turn_take                      maybe
 *   turn_park                      from here on a kick is seen
 *   turn_take again                closes the race with a turn_give that saw us running
 *   arm or disarm the listeners, epoll_wait
 *   turn_wake                      state RUN
 *   bell ready or turn_kicked: drain the bell, then turn_answer
 *   turn_may, accept a batch, turn_give, and only then anything that runs handlers
 *
 * Three levels of fitness (enum ipc_fit): FIT workers take turns. A FULL one does so only while nobody is FIT, so that
 * somebody is there to turn connections away. An UNFIT one does not.
 *
 * Invariants: at most one live process has the turn; never is the turn free (or its owner dead and buried by the
 * master) while a worker that may have it stays parked without a kick. One exception: who has kicked another in this round,
 * and has had more than its share, parks and leaves the turn to that one as long as it has not woken up. */
#ifndef IPC_TURN_H
#define IPC_TURN_H

#include "ipc/region.h"

#include <stdbool.h>

struct turn {
    struct region *region;
    struct ipc_slot *me;
    int slot;
    int heir; /* whom we have kicked in this round, -1 = nobody: turn_take leaves him the turn when we have had more than our
    share */
    uint64_t mine_before,
        all_before; /* accepts, ours and of all, when the window began by which that is judged */
    bool have;
    bool takes;        /* as in our slot */
    bool shared;       /* the lock is broken: everybody accepts (EPOLLEXCLUSIVE) */
    bool least;        /* kicks the one with the least connections, not the next in the ring */
    uint64_t event_us; /* when the first event of a listener came in this turn; 0 = none yet */
};

/* For the process of that slot, once, before it parks. */
void turn_init(struct turn *t, struct region *r, int slot);
/* No listener of ours is taken turns at: we neither have the turn nor are kicked for it. Workers like us (of one
 * generation) still tell each other when nobody is FIT any more. Before turn_fit. */
void turn_abstain(struct turn *t);

/* Our fitness from now on. When we were the last FIT one, a FULL one is kicked: it may have the turn now. */
void turn_fit(struct turn *t, enum ipc_fit fit);
/* Nobody is FIT (but perhaps us). */
bool turn_last(const struct turn *t);
/* May we have the turn? Any listener is accepted from under this rule. */
bool turn_may(const struct turn *t);

/* Tries to take the turn; true if it has it now (or had it). */
bool turn_take(struct turn *t);
/* A listener is ready: the time for which the turn is held counts from here. */
void turn_event(struct turn *t);
/* Gives it up and kicks a parked worker that may have it, light ones (not overloaded) first. Nothing happens
 * when it does not have the turn, so a worker that begins to drain just calls it. */
void turn_give(struct turn *t);
/* Before and after epoll_wait. */
void turn_park(struct turn *t);
void turn_wake(struct turn *t);
/* Has somebody kicked us? Then drain the bell first, and turn_answer: takes the turn, or hands the kick on when we may
 * not have it. */
bool turn_kicked(const struct turn *t);
void turn_answer(struct turn *t);
/* There is something to accept that we may not accept: kicks somebody who may. */
void turn_forward(struct turn *t);
/* Is some other FIT worker parked? Then one connection at a time is enough (`spread`). */
bool turn_others_parked(const struct turn *t);
/* Has this worker clearly more connections than the mean of the FIT ones, or not much room left?
 * active > mean + max(16, mean / 8), or active >= max - max / 8. */
bool turn_overloaded(const struct turn *t);

/* Master, after it has buried a dead process or declared one lost: rings every other process, because nobody who only
 * tries a lock is woken by its owner's death. Whatever its flag says (the dead one may have died between flag and bell),
 * and whether it is parked or not (it may park later, with that flag still set). Processes need a state other than FREE
 * from the fork on. */
void turn_rescue(struct region *r);

#endif
