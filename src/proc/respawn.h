/* respawn.h - how soon a dead worker is started again. Arithmetic only: no clock, no process.
 *
 * One delay for the whole server, one spawn per delay. It grows from 0.1 s to 5 s with each new
 * start that fails; a worker that was ready and is killed from outside is started again at once.
 * House decision 11. */
#ifndef PROC_RESPAWN_H
#define PROC_RESPAWN_H

#include <stdbool.h>
#include <stdint.h>

#define RESPAWN_FIRST_MS 100
#define RESPAWN_MOST_MS  5000
#define RESPAWN_KILLED_MS                                                                          \
    500 /* for those that somebody kills again and again before they are ready */
#define RESPAWN_YOUNG_MS    10000 /* a crash this soon after READY counts as a failed start */
#define RESPAWN_DEGRADED_AT 3     /* failures before the server calls itself degraded */

struct respawn {
    unsigned delay_ms; /* between two spawns; 0 = no failure lately */
    unsigned failures; /* since the last calm */
    unsigned in_row;   /* failed starts since a worker became ready */
    bool tried;        /* a spawn has happened since the delay last grew */
};

struct respawn_death {
    bool ready;        /* it had been READY */
    bool draining;     /* it was told to end, and did */
    int signal;        /* that killed it, 0 = it exited */
    uint64_t ready_ms; /* how long ago it became READY */
};

/* A worker has died: true when it may be started again at once, false when it waits for the delay.
 */
bool respawn_died(struct respawn *r, const struct respawn_death *d);
/* A worker has become ready. */
void respawn_ready(struct respawn *r);
/* A waiting worker is being started. */
void respawn_spawned(struct respawn *r);
/* All workers are ready and none has failed for a while. */
void respawn_calm(struct respawn *r);
bool respawn_degraded(const struct respawn *r);

#endif
