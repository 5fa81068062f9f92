/* siphash.h - SipHash-2-4 with 128 bits: who does not know the key cannot find two texts with the same result. After
 * "SipHash: a fast short-input PRF" by Aumasson and Bernstein. */
#ifndef SIPHASH_H
#define SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash {
    uint64_t v[4];
    uint64_t word; /* bytes that do not make a whole one yet */
    uint64_t n;    /* bytes so far */
};

static inline uint64_t siphash_turn(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void siphash_rounds(uint64_t *v, int rounds)
{
    while (rounds--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = siphash_turn(v[1], 13) ^ v[0];
        v[3] = siphash_turn(v[3], 16) ^ v[2];
        v[0] = siphash_turn(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = siphash_turn(v[1], 17) ^ v[2];
        v[3] = siphash_turn(v[3], 21) ^ v[0];
        v[2] = siphash_turn(v[2], 32);
    }
}

static inline void siphash_word(uint64_t *v, uint64_t word)
{
    v[3] ^= word;
    siphash_rounds(v, 2);
    v[0] ^= word;
}

static inline void siphash_begin(struct siphash *s, const uint64_t key[2])
{
    *s = (struct siphash){.v = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du ^ 0xee,
                                key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u}};
}

static inline void siphash_add(struct siphash *s, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) {
        s->word |= (uint64_t)p[i] << 8 * (s->n % 8);
        if (++s->n % 8)
            continue;
        siphash_word(s->v, s->word);
        s->word = 0;
    }
}

static inline void siphash_end(struct siphash *s, uint64_t to[2])
{
    uint64_t *v = s->v;
    siphash_word(v, s->word | s->n << 56);
    v[2] ^= 0xee;
    siphash_rounds(v, 4);
    to[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    siphash_rounds(v, 4);
    to[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
