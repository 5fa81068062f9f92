/* cache.h - the opened files of one worker, by root and path; the least used go when it is full. */
#ifndef STATIC_CACHE_H
#define STATIC_CACHE_H

#include "file.h"

struct cache {
    size_t max;      /* most files */
    size_t max_open; /* most of them that hold a descriptor */
    size_t n, open;
    size_t mask; /* number of buckets - 1 */
    struct file **buckets;
    struct file *newest, *oldest;
};

/* 0 or -ENOMEM. */
int cache_init(struct cache *c, size_t max, size_t max_open);

uint64_t cache_hash(uint16_t root, cs_str path);
/* The file of that name, or NULL. The reference stays with the cache: take one (f->refs++) before
 * anything else happens to it. */
struct file *cache_find(struct cache *c, uint64_t hash, uint16_t root, cs_str path);
/* Takes over the caller's reference; f is still good until the next call. */
void cache_put(struct cache *c, uint64_t hash, struct file *f);
void cache_drop(struct cache *c, struct file *f);
/* Closes descriptors by letting go of half of the files that hold one; false when there was none.
 */
_Bool cache_shed(struct cache *c);

#endif
