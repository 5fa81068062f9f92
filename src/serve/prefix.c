#include "serve/prefix.h"

#include "base/check.h"

#define HASH_START 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

/* FNV-1a: the hashes of all prefixes of a path come out of one pass over it. */
static uint64_t hash_on(uint64_t h, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * HASH_PRIME;
    return h;
}

void prefix_init(struct prefix *p, struct arena *a, size_t n)
{
    size_t cap = 4;
    while (cap < 2 * n)
        cap *= 2;
    *p = (struct prefix){.slots = arena_zalloc(a, cap * sizeof *p->slots), .cap = cap};
}

static unsigned length_bit(size_t n)
{
    return n < PREFIX_LENGTHS ? (unsigned)n : PREFIX_LENGTHS - 1;
}

/* Most borders of a path are at a length that no key has: they need no look into the table. */
static bool has_length(const struct prefix *p, size_t n)
{
    return p->lengths[length_bit(n) / 64] >> length_bit(n) % 64 & 1;
}

static struct prefix_slot *find(const struct prefix *p, uint64_t hash, cs_str key)
{
    size_t i = (hash ^ hash >> 32) & (p->cap - 1);
    while (p->slots[i].value && !(p->slots[i].hash == hash && str_eq(p->slots[i].key, key)))
        i = (i + 1) & (p->cap - 1);
    return &p->slots[i];
}

void prefix_add(struct prefix *p, cs_str key, const void *value)
{
    uint64_t hash = hash_on(HASH_START, key.p, key.n);
    struct prefix_slot *slot = find(p, hash, key);
    check(value != NULL && p->used < p->cap / 2);
    if (slot->value)
        return;
    *slot = (struct prefix_slot){.hash = hash, .key = key, .value = value};
    p->used++;
    p->lengths[length_bit(key.n) / 64] |= (uint64_t)1 << length_bit(key.n) % 64;
    if (key.n > p->longest)
        p->longest = key.n;
}

const void *prefix_exact(const struct prefix *p, cs_str path)
{
    if (!p->used || path.n > p->longest || !has_length(p, path.n))
        return NULL;
    return find(p, hash_on(HASH_START, path.p, path.n), path)->value;
}

/* Lengths at which a key may end: before and behind each "/", and at the end. Shortest first. */
static size_t find_borders(const struct prefix *p, cs_str path, struct prefix_border *out)
{
    uint64_t hash = HASH_START;
    size_t n = 0, i = 0;
    for (; i < path.n && i <= p->longest && n < 2 * PREFIX_DEPTH; i++) {
        if (path.p[i] == '/' && i && has_length(p, i) && !(n && out[n - 1].len == i))
            out[n++] = (struct prefix_border){hash, i};
        hash = hash_on(hash, path.p + i, 1);
        if (path.p[i] == '/' && has_length(p, i + 1))
            out[n++] = (struct prefix_border){hash, i + 1};
    }
    if (i == path.n && path.n && path.p[path.n - 1] != '/' && has_length(p, i))
        out[n++] = (struct prefix_border){hash, path.n};
    return n;
}

void prefix_start(struct prefix_walk *w, const struct prefix *p, cs_str path)
{
    w->table = p;
    w->path = path;
    w->left = p->used ? find_borders(p, path, w->borders) : 0;
}

const void *prefix_next(struct prefix_walk *w)
{
    while (w->left) {
        const struct prefix_border *b = &w->borders[--w->left];
        const void *value = find(w->table, b->hash, (cs_str){w->path.p, b->len})->value;
        if (value)
            return value;
    }
    return NULL;
}
