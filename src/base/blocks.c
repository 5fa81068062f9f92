#include "base/blocks.h"

#define ALL_BITS 128

const struct cs_blocks *blocks_parse(cs_list words, struct arena *a, size_t *bad,
                                     const char **error)
{
    struct cs_blocks *b = arena_zalloc(a, sizeof *b);
    b->words = words;
    b->v = arena_zalloc(a, (words.n + 1) * sizeof *b->v);
    for (size_t i = 0; i < words.n; i++) {
        *bad = i;
        if (str_is(words.v[i], "unix"))
            b->unix_peers = true;
        else if (str_is(words.v[i], "all"))
            b->v[b->n++] = (struct cidr){.bits = 0};
        else if (!cidr_parse(words.v[i], &b->v[b->n++], error))
            return NULL;
    }
    return b;
}

unsigned blocks_find(const struct cs_blocks *b, const struct cidr_addr *addr)
{
    unsigned best = !addr && b->unix_peers ? 1 + ALL_BITS : 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct cidr *c = &b->v[i];
        if (c->bits + 1 > best && (!c->bits || (addr && cidr_has(c, addr))))
            best = c->bits + 1;
    }
    return best;
}
