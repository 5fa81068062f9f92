/* timer.h - a hierarchical timing wheel: setting, moving and clearing a timer is O(1), without
 * memory. Resolution 1 ms; a timer never fires early, measured by clock_ms. */
#ifndef EVENT_TIMER_H
#define EVENT_TIMER_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define TIMER_LEVELS 6
#define TIMER_SLOTS  64

struct timer {
    struct list node;
    uint64_t due; /* clock_ms; 0 = not set */
    void (*on_due)(struct timer *t);
};

struct timer_wheel {
    uint64_t now;                /* up to where timers have run */
    uint64_t used[TIMER_LEVELS]; /* bitmap of slots that hold timers */
    struct list slots[TIMER_LEVELS][TIMER_SLOTS];
    size_t count;
    bool running; /* inside timer_run */
};

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms);
void timer_init(struct timer *t, void (*on_due)(struct timer *t));
/* (Re)arms t to fire `ms` after clock_ms(). Moving a timer later, as each request does with the
 * time limits of its connection, only stores the new moment. */
void timer_set(struct timer_wheel *w, struct timer *t, uint64_t ms);
/* The same with the moment itself, in milliseconds of clock_ms. */
void timer_set_at(struct timer_wheel *w, struct timer *t, uint64_t due);
void timer_clear(struct timer_wheel *w, struct timer *t);
static inline int timer_is_set(const struct timer *t)
{
    return t->due != 0;
}
/* Milliseconds until the next slot that may hold a due timer (never later than the first due one),
 * -1 if none. */
int64_t timer_next(const struct timer_wheel *w, uint64_t now_ms);
/* Runs all that are due at now_ms; on_due may set and clear any timer, its own too (and free the
 * object its timer lies in). One that it sets to "now" fires a millisecond later, so a run always
 * ends. */
void timer_run(struct timer_wheel *w, uint64_t now_ms);

#endif
