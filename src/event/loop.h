/* loop.h - the event loop of one process: descriptors (epoll, level-triggered) and timers.
 *
 * The caller owns the order: it waits, walks the batch of ready descriptors as it likes (a worker
 * looks at listeners and its bell first), then lets the rest be dispatched.
 *
 *     loop_wait -> [loop_ready ...] -> loop_dispatch -> loop_run_timers -> loop_reap
 *
 * A struct loop_io lies inside the object that owns the descriptor. An object that dies while the
 * batch is being dispatched calls loop_del (its pending event is then skipped) and hands itself to
 * loop_later for freeing. */
#ifndef EVENT_LOOP_H
#define EVENT_LOOP_H

#include "event/timer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop_io {
    void (*on_ready)(struct loop_io *io, uint32_t events); /* NULL: skipped */
    int fd;
    uint32_t events; /* interest now registered; 0 = registered nowhere */
};

/* Work for the end of the turn: freeing, or finishing what must not be nested. */
struct loop_task {
    struct list node; /* list_init before first use, or zero */
    void (*run)(struct loop_task *task);
};

struct loop {
    int epfd;
    int nready, next_ready;
    struct epoll_event *ready; /* the current batch */
    int batch;
    struct timer_wheel timers;
    struct list tasks;
    uint64_t waits; /* number of epoll_wait calls */
};

/* batch: most events taken in one wait. 0 or -errno. */
int loop_init(struct loop *l, int batch);
void loop_free(struct loop *l);

/* 0 or -errno. loop_set: registers, changes or (events 0) unregisters, with the least system calls.
 */
int loop_set(struct loop *l, struct loop_io *io, uint32_t events);
/* Unregisters and sets on_ready to NULL. Before closing fd. */
void loop_del(struct loop *l, struct loop_io *io);
/* The same for a descriptor that is closed right behind it and is shared with nobody: saves the
 * system call. */
void loop_forget(struct loop *l, struct loop_io *io);

/* Waits for events, at most until the next timer is due, at most max_ms (-1: for ever); not at all
 * when tasks are pending. Updates the clock. Returns the number of ready descriptors. */
int loop_wait(struct loop *l, int max_ms);
/* The i-th ready one of this batch (NULL if it died or was taken meanwhile), with those of its
 * events that are still of interest (errors always are); loop_take marks it as done. */
struct loop_io *loop_ready(struct loop *l, int i, uint32_t *events);
void loop_take(struct loop *l, int i);
/* Calls on_ready of all that are left. */
void loop_dispatch(struct loop *l);
void loop_run_timers(struct loop *l);
/* Queues a task (once, however often it is called before it runs). */
void loop_later(struct loop *l, struct loop_task *t);
/* Runs the tasks; those they queue run in the next turn. */
void loop_reap(struct loop *l);

#endif
