/* arena.c - chunks for the bump pointer in the header.
 *
 * Every chunk of the pool's size goes back to the pool; odd ones (for one large piece) to the heap.
 * A chunk that is taken for a piece which leaves less room than the old one had stays behind: the
 * pointer keeps the larger rest. */
#include "base/arena.h"

#include "base/check.h"
#include "base/guard.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#if ARENA_POISONS
#include <sanitizer/asan_interface.h>
#define poison(p, n)   __asan_poison_memory_region((p), (n))
#define unpoison(p, n) __asan_unpoison_memory_region((p), (n))
#define GAP            ARENA_ALIGN
#else
#define poison(p, n)   ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#define GAP            ((size_t)0)
#endif

#define CHUNK_SIZE_WITHOUT_POOL ((size_t)4096)

struct arena_chunk {
    _Alignas(16) struct arena_chunk *next;
    size_t size; /* with this header */
};

static char *chunk_start(struct arena_chunk *c)
{
    return (char *)(c + 1);
}

static size_t chunk_room(const struct arena_chunk *c)
{
    return c->size - sizeof(*c);
}

static void chunk_free(struct arena_chunk *c)
{
    unpoison(chunk_start(c), chunk_room(c));
    free(c);
}

static struct arena_chunk *chunk_new(struct arena_pool *pool, size_t size)
{
    bool guarded = pool && pool->guard;
    struct arena_chunk *c = guarded ? guard_take(pool->guard, &size) : mem_resize(NULL, size);
    c->size = size;
    poison(chunk_start(c), chunk_room(c));
    return c;
}

void arena_pool_init(struct arena_pool *pool, size_t chunk_size, unsigned max_spare)
{
    check(chunk_size >= 4 * sizeof(struct arena_chunk));
    *pool =
        (struct arena_pool){.max_spare = max_spare, .chunk_size = chunk_size & ~(ARENA_ALIGN - 1)};
}

void arena_pool_drain(struct arena_pool *pool)
{
    while (pool->spare) {
        struct arena_chunk *c = pool->spare;
        pool->spare = c->next;
        chunk_free(c);
    }
    pool->nspare = 0;
    guard_free(pool->guard);
    pool->guard = NULL;
}

void arena_pool_guard(struct arena_pool *pool, unsigned keep)
{
    check(!pool->guard && !pool->spare);
    pool->guard = guard_new(keep);
}

void arena_init(struct arena *a, struct arena_pool *pool)
{
    *a = (struct arena){.pool = pool};
}

static void chunk_give_back(struct arena_pool *pool, struct arena_chunk *c)
{
    if (pool && pool->guard) {
        unpoison(chunk_start(c),
                 chunk_room(c)); /* who gets these addresses next knows nothing of it */
        guard_give_back(pool->guard, c, c->size);
        return;
    }
    if (!pool || c->size != pool->chunk_size || pool->nspare >= pool->max_spare) {
        chunk_free(c);
        return;
    }
    poison(chunk_start(c), chunk_room(c));
    c->next = pool->spare;
    pool->spare = c;
    pool->nspare++;
}

void arena_drop(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *c = a->chunks;
        a->chunks = c->next;
        chunk_give_back(a->pool, c);
    }
    if (a->pool && a->pool->guard)
        guard_step(a->pool->guard);
    a->next = a->end = NULL;
    a->total = 0;
}

/* A chunk with room for `need` bytes. */
static struct arena_chunk *chunk_take(struct arena_pool *pool, size_t need)
{
    size_t usual = pool ? pool->chunk_size : CHUNK_SIZE_WITHOUT_POOL;
    if (need > usual - sizeof(struct arena_chunk))
        return chunk_new(pool, need + sizeof(struct arena_chunk));
    if (!pool || !pool->spare)
        return chunk_new(pool, usual);
    struct arena_chunk *c = pool->spare;
    pool->spare = c->next;
    pool->nspare--;
    return c;
}

static void *bump(struct arena *a, size_t need, size_t n)
{
    char *p = a->next;
    a->next += need;
    a->total += n;
    unpoison(p, n);
    return p;
}

void *arena_alloc_slow(struct arena *a, size_t n)
{
    check(n < SIZE_MAX / 2);
    size_t need = ((n ? n : 1) + GAP + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    if (need <= (size_t)(a->end - a->next))
        return bump(a, need, n);
    struct arena_chunk *c = chunk_take(a->pool, need);
    c->next = a->chunks;
    a->chunks = c;

    char *old_next = a->next, *old_end = a->end;
    a->next = chunk_start(c);
    a->end = a->next + chunk_room(c);
    void *p = bump(a, need, n);
    if (old_end - old_next > a->end - a->next) {
        a->next = old_next;
        a->end = old_end;
    }
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    memset(p, 0, n);
    return p;
}

void *arena_join(struct arena *a, const void *x, size_t nx, const void *y, size_t ny, size_t size)
{
    char *v = arena_zalloc(a, (nx + ny + 1) * size);
    if (nx)
        memcpy(v, x, nx * size);
    if (ny)
        memcpy(v + nx * size, y, ny * size);
    return v;
}

cs_str arena_dup(struct arena *a, cs_str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (cs_str){p, s.n};
}

char *arena_strdup(struct arena *a, const char *z)
{
    size_t n = strlen(z) + 1;
    return memcpy(arena_alloc(a, n), z, n);
}

cs_str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cs_str s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

cs_str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = str_vprintf(small, sizeof(small), fmt, ap);
    check(n >= 0);
    size_t len = (size_t)n;
    char *p = arena_alloc(a, len + 1);
    if (len < sizeof(small))
        memcpy(p, small, len + 1);
    else
        vsnprintf(p, len + 1, fmt, again);
    va_end(again);
    return (cs_str){p, len};
}
