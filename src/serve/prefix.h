/* prefix.h - a table of path keys: exact look-up, and the longest key that is a prefix on segment
 * borders. Filled once, then only read. A look-up costs the length of the path, not the number of
 * keys. */
#ifndef SERVE_PREFIX_H
#define SERVE_PREFIX_H

#include "base/arena.h"

#define PREFIX_DEPTH   255 /* most "/" in a key */
#define PREFIX_LENGTHS 256

struct prefix_slot {
    uint64_t hash;
    cs_str key;
    const void *value; /* NULL: free */
};

struct prefix {
    struct prefix_slot *slots;
    size_t cap, used, longest;
    uint64_t lengths[PREFIX_LENGTHS /
                     64]; /* which lengths the keys have; the last bit: all longer ones */
};

/* Room for n keys, in the arena. */
void prefix_init(struct prefix *p, struct arena *a, size_t n);
/* The key's bytes are borrowed. The first of two equal keys wins. */
void prefix_add(struct prefix *p, cs_str key, const void *value);
const void *prefix_exact(const struct prefix *p, cs_str path);

struct prefix_border {
    uint64_t hash;
    size_t len;
};

/* All keys that fit a path, the longest first: key "/x" fits /x and /x/..., key "/x/" fits /x/ and /x/... */
struct prefix_walk {
    const struct prefix *table;
    cs_str path;
    size_t left;
    struct prefix_border borders[2 * PREFIX_DEPTH + 2];
};

void prefix_start(struct prefix_walk *w, const struct prefix *p, cs_str path);
/* The next one's value; NULL: no more. */
const void *prefix_next(struct prefix_walk *w);

#endif
