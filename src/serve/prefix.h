/* prefix.h - a table of path keys: exact look-up, and the longest key that is a prefix on segment
 * borders. Filled once, then only read. A look-up costs the length of the path, not the number of
 * keys. */
#ifndef SERVE_PREFIX_H
#define SERVE_PREFIX_H

#include "base/arena.h"

#define PREFIX_DEPTH 255 /* most "/" in a key */

struct prefix_slot {
    uint64_t hash;
    cs_str key;
    const void *value; /* NULL: free */
};

struct prefix {
    struct prefix_slot *slots;
    size_t cap, used, longest;
};

/* Room for n keys, in the arena. */
void prefix_init(struct prefix *p, struct arena *a, size_t n);
/* The key's bytes are borrowed. The first of two equal keys wins. */
void prefix_add(struct prefix *p, cs_str key, const void *value);
const void *prefix_exact(const struct prefix *p, cs_str path);
/* Key "/x" fits /x and /x/..., key "/x/" fits /x/ and /x/..., the longer key wins. */
const void *prefix_longest(const struct prefix *p, cs_str path);

#endif
