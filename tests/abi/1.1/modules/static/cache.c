/* cache.c - a hash table with chains, and one list for age.
 *
 * A hit only sets `used`; nothing moves, so it touches no other file's memory. Who has to go is
 * found at the old end: a file that was used since it came there goes back to the new end for
 * another round. */
#include "cache.h"

#include <errno.h>
#include <stdlib.h>

int cache_init(struct cache *c, size_t max, size_t max_open)
{
    size_t n = 16;
    while (n < max)
        n *= 2;
    *c = (struct cache){.max = max, .max_open = max_open, .mask = n - 1};
    c->buckets = calloc(n, sizeof(struct file *));
    return c->buckets ? 0 : -ENOMEM;
}

/* Eight bytes at a time; each step multiplies by an odd number and folds the high half down. Only
 * names of files that exist get into the table, so nobody can fill one chain from outside. */
uint64_t cache_hash(uint16_t root, cs_str path)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t h = (root + path.n) * odd, part;
    const char *p = path.p;
    size_t n = path.n;
    for (; n >= sizeof part; p += sizeof part, n -= sizeof part) {
        memcpy(&part, p, sizeof part);
        h = (h ^ part) * odd;
        h ^= h >> 32;
    }
    part = 0;
    memcpy(&part, p, n);
    h = (h ^ part) * odd;
    return h ^ h >> 32;
}

struct file *cache_find(struct cache *c, uint64_t hash, uint16_t root, cs_str path)
{
    struct file *f = c->buckets[hash & c->mask];
    while (f && (f->hash != hash || f->root != root || f->path.n != path.n ||
                 memcmp(f->path.p, path.p, path.n)))
        f = f->chain;
    if (f)
        f->used = 1;
    return f;
}

static void list_add(struct cache *c, struct file *f)
{
    f->newer = NULL;
    f->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = f;
    c->newest = f;
}

static void list_remove(struct cache *c, struct file *f)
{
    *(f->newer ? &f->newer->older : &c->newest) = f->older;
    *(f->older ? &f->older->newer : &c->oldest) = f->newer;
}

void cache_drop(struct cache *c, struct file *f)
{
    struct file **at = &c->buckets[f->hash & c->mask];
    while (*at != f)
        at = &(*at)->chain;
    *at = f->chain;
    list_remove(c, f);
    c->n--;
    c->open -= f->fd >= 0;
    file_unref(f);
}

/* Lets one file go that is not `keep`; with `open`, one that holds a descriptor. */
static void evict(struct cache *c, const struct file *keep, _Bool open)
{
    struct file *next;
    for (struct file *f = c->oldest; f; f = next) {
        next = f->newer;
        if (f == keep || (open && f->fd < 0))
            continue;
        if (!f->used) {
            cache_drop(c, f);
            return;
        }
        f->used = 0;
        list_remove(c, f);
        list_add(c, f);
        if (!next)
            next = c->oldest;
    }
}

void cache_put(struct cache *c, uint64_t hash, struct file *f)
{
    struct file **bucket = &c->buckets[hash & c->mask];
    f->hash = hash;
    f->chain = *bucket;
    *bucket = f;
    list_add(c, f);
    c->n++;
    c->open += f->fd >= 0;
    if (c->n > c->max)
        evict(c, f, 0);
    if (c->open > c->max_open)
        evict(c, f, 1);
}

_Bool cache_shed(struct cache *c)
{
    const size_t leave = c->open / 2;
    if (c->open == 0)
        return 0;
    struct file *next;
    for (struct file *f = c->oldest; f && c->open > leave; f = next) {
        next = f->newer;
        if (f->fd >= 0)
            cache_drop(c, f);
    }
    return 1;
}
