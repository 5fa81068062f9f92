/* timer.c - six levels of 64 slots. A slot of level 0 is one millisecond, a slot of each further
 * level all 64 of the level below.
 *
 * A moment is written in base 64. A timer lies on the level of the highest digit in which its
 * moment differs from `now`, in the slot of that digit. So everything on a level comes before
 * everything on the next one, and the first slot in use of the lowest level in use is where time
 * goes next. There its timers fire, or move down. Only the top level is a ring: what lies further
 * ahead than it reaches waits in the last slot of the ring and is looked at again there.
 *
 * A timer that is moved later stays in its slot, which then comes too early: it is put where it
 * belongs when time gets there. `due` is the truth, the slot only the moment to look. */
#include "event/timer.h"

#include "base/clock.h"

#define DIGIT_BITS 6
#define TOP        (TIMER_LEVELS - 1)
#define NEVER      UINT64_MAX

static unsigned shift_of(unsigned level)
{
    return level * DIGIT_BITS;
}

static unsigned digit_of(uint64_t ms, unsigned level)
{
    return (unsigned)(ms >> shift_of(level)) & (TIMER_SLOTS - 1);
}

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms)
{
    w->now = now_ms;
    w->count = 0;
    w->running = false;
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        w->used[level] = 0;
        for (unsigned slot = 0; slot < TIMER_SLOTS; slot++)
            list_init(&w->slots[level][slot]);
    }
}

void timer_init(struct timer *t, void (*on_due)(struct timer *t))
{
    list_init(&t->node);
    t->due = 0;
    t->on_due = on_due;
}

/* The level of the highest digit in which the two differ; 0 if they are the same. */
static unsigned level_of(uint64_t a, uint64_t b)
{
    uint64_t differ = (a ^ b) | 1;
    unsigned level = (unsigned)(63 - __builtin_clzll(differ)) / DIGIT_BITS;
    return level < TOP ? level : TOP;
}

static void insert(struct timer_wheel *w, struct timer *t)
{
    uint64_t soonest = w->now + w->running;
    uint64_t when = t->due > soonest ? t->due : soonest;
    unsigned level = level_of(when, w->now);
    if (level == TOP) {
        uint64_t last = (w->now >> shift_of(TOP)) + TIMER_SLOTS - 1;
        if (when >> shift_of(TOP) > last)
            when = last << shift_of(TOP);
    }
    unsigned slot = digit_of(when, level);
    w->used[level] |= UINT64_C(1) << slot;
    list_add_tail(&w->slots[level][slot], &t->node);
}

/* Takes t out of its slot. The last of a slot has the slot's head on both sides, which tells the
 * slot; while a slot is being run its timers hang on a list of their own. */
static void take_out(struct timer_wheel *w, struct timer *t)
{
    const struct list *head = t->node.next;
    bool last = head == t->node.prev;
    list_remove(&t->node);
    uintptr_t first = (uintptr_t)&w->slots[0][0], at = (uintptr_t)head;
    if (last && at >= first && at < first + sizeof(w->slots)) {
        size_t i = (at - first) / sizeof(struct list);
        w->used[i / TIMER_SLOTS] &= ~(UINT64_C(1) << (i % TIMER_SLOTS));
    }
}

void timer_set_at(struct timer_wheel *w, struct timer *t, uint64_t due)
{
    due = due ? due : 1;
    if (t->due && due >= t->due) {
        t->due = due;
        return;
    }
    if (t->due)
        take_out(w, t);
    else
        w->count++;
    t->due = due;
    insert(w, t);
}

void timer_set(struct timer_wheel *w, struct timer *t, uint64_t ms)
{
    uint64_t now = clock_ms();
    timer_set_at(w, t, ms < NEVER - now ? now + ms : NEVER);
}

void timer_clear(struct timer_wheel *w, struct timer *t)
{
    if (t->due) {
        take_out(w, t);
        t->due = 0;
        w->count--;
    }
}

/* Where time goes next: a slot and the moment it begins. NEVER if the wheel is empty. */
static uint64_t next_slot(const struct timer_wheel *w, unsigned *level, unsigned *slot)
{
    for (unsigned l = 0; l < TOP; l++) {
        if (w->used[l]) {
            unsigned shift = shift_of(l + 1);
            *level = l;
            *slot = (unsigned)__builtin_ctzll(w->used[l]);
            return (w->now >> shift << shift) + ((uint64_t)*slot << shift_of(l));
        }
    }
    uint64_t used = w->used[TOP];
    if (!used)
        return NEVER;
    unsigned here = digit_of(w->now, TOP);
    uint64_t turned = here ? used >> here | used << (TIMER_SLOTS - here) : used;
    unsigned ahead = (unsigned)__builtin_ctzll(turned);
    *level = TOP;
    *slot = (here + ahead) & (TIMER_SLOTS - 1);
    return ((w->now >> shift_of(TOP)) + ahead) << shift_of(TOP);
}

int64_t timer_next(const struct timer_wheel *w, uint64_t now_ms)
{
    unsigned level, slot;
    uint64_t when = next_slot(w, &level, &slot);
    if (when == NEVER)
        return -1;
    return when > now_ms ? (int64_t)(when - now_ms) : 0;
}

/* Moves a whole slot to an empty list, so that callbacks may put timers into it again. */
static void empty_slot(struct timer_wheel *w, unsigned level, unsigned slot, struct list *to)
{
    struct list *head = &w->slots[level][slot];
    w->used[level] &= ~(UINT64_C(1) << slot);
    list_init(to);
    if (!list_empty(head)) {
        *to = *head;
        to->next->prev = to;
        to->prev->next = to;
        list_init(head);
    }
}

/* Callbacks may remove any other timer of the list, so it is always its first one that is next. */
static void run_slot(struct timer_wheel *w, unsigned level, unsigned slot)
{
    struct list todo, *node;
    empty_slot(w, level, slot, &todo);
    while ((node = list_first(&todo))) {
        struct timer *t = CONTAINER_OF(node, struct timer, node);
        list_remove(node);
        if (t->due > w->now) {
            insert(w, t);
            continue;
        }
        t->due = 0;
        w->count--;
        t->on_due(t);
    }
}

void timer_run(struct timer_wheel *w, uint64_t now_ms)
{
    unsigned level, slot;
    w->running = true;
    for (;;) {
        uint64_t when = next_slot(w, &level, &slot);
        if (when == NEVER || when > now_ms)
            break;
        w->now = when;
        run_slot(w, level, slot);
    }
    w->now = now_ms > w->now ? now_ms : w->now;
    w->running = false;
}
