#include "base/blocks.h"

#define ALL_BITS 128

static const struct blocks *own(const cs_blocks *pub)
{
    return (const struct blocks *)(const void *)pub;
}

const cs_blocks *blocks_parse(cs_list words, struct arena *a, size_t *bad, const char **error)
{
    struct blocks *b = arena_zalloc(a, sizeof *b);
    b->pub.words = words;
    b->v = arena_zalloc(a, (words.n + 1) * sizeof *b->v);
    for (size_t i = 0; i < words.n; i++) {
        *bad = i;
        if (str_is(words.v[i], "unix"))
            b->unix_peers = true;
        else if (str_is(words.v[i], "all"))
            b->all = true;
        else if (!cidr_parse(words.v[i], &b->v[b->n++], error))
            return NULL;
    }
    return &b->pub;
}

/* The longest block; NULL: none. */
static const struct cidr *longest(const struct blocks *b, const struct cidr_addr *addr)
{
    const struct cidr *best = NULL;
    for (size_t i = 0; i < b->n && addr; i++)
        if ((!best || b->v[i].bits > best->bits) && cidr_has(&b->v[i], addr))
            best = &b->v[i];
    return best;
}

unsigned blocks_find(const cs_blocks *pub, const struct cidr_addr *addr)
{
    const struct blocks *b = own(pub);
    const struct cidr *c = longest(b, addr);
    if (c)
        return 2 + c->bits;
    return !addr && b->unix_peers ? 2 + ALL_BITS : b->all;
}

cs_str blocks_word(const cs_blocks *pub, const struct cidr_addr *addr)
{
    const struct blocks *b = own(pub);
    const struct cidr *c = longest(b, addr);
    const char *word = !addr && b->unix_peers ? "unix" : "all";
    size_t seen = 0;
    for (size_t i = 0; i < pub->words.n; i++) {
        cs_str w = pub->words.v[i];
        bool is_block = !str_is(w, "unix") && !str_is(w, "all");
        if (c ? is_block && &b->v[seen] == c : str_is(w, word))
            return w;
        seen += is_block;
    }
    return (cs_str){0};
}

const cs_blocks *blocks_join(const cs_blocks *x, const cs_blocks *y, struct arena *a)
{
    const struct blocks *bx = own(x), *by = own(y);
    struct blocks *b = arena_zalloc(a, sizeof *b);
    b->pub.words.n = x->words.n + y->words.n;
    b->pub.words.v = arena_join(a, x->words.v, x->words.n, y->words.v, y->words.n, sizeof(cs_str));
    b->n = bx->n + by->n;
    b->v = arena_join(a, bx->v, bx->n, by->v, by->n, sizeof *b->v);
    b->unix_peers = bx->unix_peers || by->unix_peers;
    b->all = bx->all || by->all;
    return &b->pub;
}
