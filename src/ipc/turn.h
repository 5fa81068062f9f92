/* turn.h - the accept turn: which worker has the listeners armed. The protocol only: shared memory, one robust
 * lock, one bell per slot; no epoll and no sockets in it. House decision 1, module-ipc.md section 3.3.
 *
 *          turn_take            connection accepted: turn_give
 *   FREE ------------> HELD ---------------------------------> FREE + one parked worker is kicked
 *
 * The holder keeps the lock through epoll_wait and passes it on before any handler runs. Nobody ever waits for
 * the lock: it is only tried. A worker that finds it held parks; who gives it up wakes exactly one parked worker
 * (flag and bell). The order of the steps in a worker's round matters:
 *
 *   turn_take                      maybe
 *   arm or disarm the listeners
 *   turn_park                      from here on a kick is seen
 *   turn_take again, arm           closes the race with a turn_give that saw us running
 *   epoll_wait
 *   turn_wake                      state RUN
 *   bell ready or turn_kicked: drain the bell, then turn_heard, then turn_take (or turn_forward when not fit)
 *   accept a batch, turn_give, and only then anything that runs handlers
 *
 * Invariants (A1-A5 of section 3.4): at most one live process has the turn; never is the turn free (or its owner
 * dead and buried by the master) while a fit worker stays parked without a kick. */
#ifndef IPC_TURN_H
#define IPC_TURN_H

#include "ipc/region.h"

#include <stdbool.h>

struct turn {
    struct region *region;
    struct ipc_slot *me;
    int slot;
    bool have;
    bool shared; /* the lock is broken: everybody accepts (EPOLLEXCLUSIVE) */
};

/* For the process of that slot, once, before it parks. */
void turn_init(struct turn *t, struct region *r, int slot);

/* Tries to take the turn; true if it has it now (or had it). Only a fit worker calls it. */
bool turn_take(struct turn *t);
/* Gives it up and kicks the next fit parked worker: in ring order, light ones (not overloaded) first. Nothing happens
 * when it does not have the turn, so a worker that begins to drain just calls it. */
void turn_give(struct turn *t);
/* Before and after epoll_wait. */
void turn_park(struct turn *t);
void turn_wake(struct turn *t);
/* Has somebody kicked us? Then: drain the bell first, and turn_heard (clears the flag) after it. */
bool turn_kicked(const struct turn *t);
void turn_heard(struct turn *t);
/* We were kicked but cannot take turns: hand the kick on. */
void turn_forward(struct turn *t);
/* Is some other fit worker parked? Then one connection at a time is enough (`spread`). */
bool turn_others_parked(const struct turn *t);
/* Has this worker clearly more connections than the mean of the fit ones? active > mean + max(16, mean / 4). */
bool turn_overloaded(const struct turn *t);

/* Master, after it has buried a dead process: rings every other process, because nobody who only tries a lock is woken
 * by its owner's death. Whatever its flag says (the dead one may have died between flag and bell), and whether it is
 * parked or not (it may park later, with that flag still set). Processes need a state other than FREE from the fork on. */
void turn_rescue(struct region *r);

#endif
