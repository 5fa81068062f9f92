/* stack.h - stacks for fibers: memory with a guard below it, kept for the next one.
 *
 * A stack takes memory page by page, as deep as it has been used; a spare one keeps that. Those beyond max_spare give their
 * memory back. One thread. Each is two mappings of the process, of which there are vm.max_map_count (65,530).
 *
 * Under ASan, whose frames are larger, they are STACK_SCALE times as large as asked for. What lies on a stack that is taken
 * counts for its search for leaks. */
#ifndef OS_STACK_H
#define OS_STACK_H

#include "os/fiber.h"

#define STACK_SCALE (FIBER_ASAN ? 4 : 1)

/* Lies at the upper end of its own mapping, above what a fiber may use. */
struct stack {
    struct stack *next; /* spare ones */
    char *low;          /* [low, low + size) is to be used; 16 bytes alignment at both ends */
    size_t size;
    uint32_t uses; /* how often it was taken */
};

struct stack_pool {
    size_t size; /* of each, as asked for */
    unsigned max_spare, nspare;
    unsigned nstacks; /* all there are, spare ones too */
    size_t peak;      /* most bytes that any has been seen used */
    bool changed;     /* nstacks or peak has; taken back by whoever has looked */
    struct stack *spare;
};

/* Size in bytes; rounded up to pages, of which struct stack takes some bytes. */
void stack_pool_init(struct stack_pool *p, size_t size, unsigned max_spare);

/* What stack_take and stack_give do when it is not about a spare one. */
struct stack *stack_take_slow(struct stack_pool *p);
void stack_give_slow(struct stack_pool *p, struct stack *s);

/* NULL with errno: no memory, or too many mappings. What others have left on it is still there. */
static inline struct stack *stack_take(struct stack_pool *p)
{
    struct stack *s = p->spare;
    if (FIBER_ASAN || !s)
        return stack_take_slow(p);
    p->spare = s->next;
    p->nspare--;
    s->uses++;
    return s;
}

/* Nobody uses it any more. Looks at each stack's 1st, 2nd, 4th, 8th ... use how deep it has been used -> p->peak. */
static inline void stack_give(struct stack_pool *p, struct stack *s)
{
    if (FIBER_ASAN || (s->uses & (s->uses - 1)) == 0 || p->nspare >= p->max_spare) {
        stack_give_slow(p, s);
        return;
    }
    s->next = p->spare;
    p->spare = s;
    p->nspare++;
}

/* Gives back spare ones. */
void stack_pool_drain(struct stack_pool *p);

/* Deepest use of this stack so far, in bytes. Touches no memory that it has not. What has been swapped out does not count. */
size_t stack_used(const struct stack *s);

/* Is the address in the guard below it? For a signal handler. */
bool stack_guards(const struct stack *s, uintptr_t address);

#endif
