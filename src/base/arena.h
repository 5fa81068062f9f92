/* arena.h - memory that is given out in small pieces and dropped as a whole.
 *
 * An arena takes its chunks from a pool that keeps a few of them for the next arena, so a request
 * costs no malloc in the steady state. Under ASan what is not given out is poisoned, with a gap
 * behind each piece. One thread only. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif
#ifndef ARENA_POISONS
#define ARENA_POISONS 0
#endif

#define ARENA_ALIGN ((size_t)16)

struct arena_chunk;
struct guard;

/* Spare chunks of one size; zero-initialise, then arena_pool_init. */
struct arena_pool {
    struct arena_chunk *spare;
    unsigned nspare, max_spare;
    size_t chunk_size;
    struct guard *guard; /* NULL, or where chunks come from and go to */
};

struct arena {
    char *next, *end;           /* free space, in one of the chunks */
    struct arena_chunk *chunks; /* all of them */
    struct arena_pool *pool;    /* NULL: chunks come from malloc and go back there */
    size_t total;               /* bytes asked for since the last drop */
};

/* chunk_size in bytes, header included; keeps at most max_spare unused chunks. */
void arena_pool_init(struct arena_pool *pool, size_t chunk_size, unsigned max_spare);
void arena_pool_drain(struct arena_pool *pool);
/* For those who look for mistakes, before the first arena: the memory of an arena that has been dropped faults when it is
 * touched, until `keep` others have been dropped. */
void arena_pool_guard(struct arena_pool *pool, unsigned keep);

/* An empty arena: takes no memory until the first allocation. pool may be NULL. */
void arena_init(struct arena *a, struct arena_pool *pool);

/* Gives everything back; the arena is then empty and may be used again. */
void arena_drop(struct arena *a);

/* What arena_alloc does when the chunk at hand is too small. */
void *arena_alloc_slow(struct arena *a, size_t n);

/* n bytes, aligned to 16, not zeroed; larger than a chunk is fine. Never NULL. */
static inline void *arena_alloc(struct arena *a, size_t n)
{
    size_t need = (n + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    /* need is 0 for n == 0 and where the sum overflows: need - 1 sends both to the slow path. */
    if (ARENA_POISONS || need - 1 >= (size_t)(a->end - a->next))
        return arena_alloc_slow(a, n);
    char *p = a->next;
    a->next += need;
    a->total += n;
    return p;
}
void *arena_zalloc(struct arena *a, size_t n);

/* An array of the nx elements at x and the ny at y, `size` bytes each, with a zeroed one behind the end. */
void *arena_join(struct arena *a, const void *x, size_t nx, const void *y, size_t ny, size_t size);

/* Copies, NUL-terminated behind the end. */
cs_str arena_dup(struct arena *a, cs_str s);
char *arena_strdup(struct arena *a, const char *z);
cs_str arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
cs_str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

#endif
