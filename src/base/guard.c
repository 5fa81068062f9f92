/* guard.c - each piece is a mapping of its own. One that is kept takes addresses, and no memory. */
#include "base/guard.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct piece {
    void *p;
    size_t size;
    uint64_t step;
};

struct guard {
    unsigned keep;
    uint64_t step;
    size_t first, n; /* of the ring */
    struct piece ring[GUARD_PIECES];
};

struct guard *guard_new(unsigned keep)
{
    struct guard *g = mem_alloc(sizeof *g);
    g->keep = keep;
    return g;
}

static void drop_first(struct guard *g)
{
    struct piece *p = &g->ring[g->first];
    check(munmap(p->p, p->size) == 0);
    g->first = (g->first + 1) % GUARD_PIECES;
    g->n--;
}

void guard_free(struct guard *g)
{
    while (g && g->n > 0)
        drop_first(g);
    free(g);
}

void *guard_take(struct guard *g, size_t *size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    (void)g;
    *size = (*size + page - 1) / page * page;
    void *p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(p != MAP_FAILED);
    return p;
}

/* Another mapping in its place gives the memory back and keeps the addresses. */
void guard_give_back(struct guard *g, void *p, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    check(mmap(p, size, PROT_NONE, flags, -1, 0) == p);
    if (g->n == GUARD_PIECES)
        drop_first(g);
    g->ring[(g->first + g->n++) % GUARD_PIECES] = (struct piece){p, size, g->step};
}

void guard_step(struct guard *g)
{
    g->step++;
    while (g->n > 0 && g->ring[g->first].step + g->keep < g->step)
        drop_first(g);
}
