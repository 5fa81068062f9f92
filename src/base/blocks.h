/* blocks.h - a list of addresses that clients are looked up in: single ones, CIDR blocks, "all", and "unix" for who comes by
 * a unix socket. What cserver.h calls cs_blocks. */
#ifndef BASE_BLOCKS_H
#define BASE_BLOCKS_H

#include "base/arena.h"
#include "base/cidr.h"

struct cs_blocks {
    cs_list words; /* as written */
    size_t n;
    struct cidr *v;
    bool unix_peers;
};

/* In the arena; the words are borrowed. NULL with *error a sentence's end about words.v[*bad]. */
const struct cs_blocks *blocks_parse(cs_list words, struct arena *a, size_t *bad,
                                     const char **error);
/* 0: it is in none; else 1 + the length of the longest block that has it. addr NULL: by a unix socket. */
unsigned blocks_find(const struct cs_blocks *b, const struct cidr_addr *addr);

#endif
