/* blocks.h - a list of addresses that clients are looked up in: single ones, CIDR blocks, "all", and "unix" for who comes by
 * a unix socket. */
#ifndef BASE_BLOCKS_H
#define BASE_BLOCKS_H

#include "base/arena.h"
#include "base/cidr.h"

struct blocks {
    cs_blocks pub; /* first: what modules have is a pointer to this */
    size_t n;      /* elements but for "unix" and "all", in the same order */
    struct cidr *v;
    bool unix_peers, all;
};

/* In the arena; the words are borrowed. NULL with *error a sentence's end about words.v[*bad]. */
const cs_blocks *blocks_parse(cs_list words, struct arena *a, size_t *bad, const char **error);
/* 0: it is in none; 1: only "all" has it; else 2 + the length of the longest block that does, where "unix" is as long as one address.
 * addr NULL: by a unix socket. */
unsigned blocks_find(const cs_blocks *b, const struct cidr_addr *addr);
/* The element that this was, as written; n = 0: none. */
cs_str blocks_word(const cs_blocks *b, const struct cidr_addr *addr);
/* Those of x and then those of y, in the arena. */
const cs_blocks *blocks_join(const cs_blocks *x, const cs_blocks *y, struct arena *a);

#endif
