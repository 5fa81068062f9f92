/* input.h - an input of a fuzz target taken apart: a byte that chooses, lines, and the rest. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include "base/buf.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline cs_str input_of(const uint8_t *data, size_t size)
{
    return (cs_str){(const char *)data, size};
}

/* 0 where there is none. */
static inline unsigned input_byte(cs_str *in)
{
    if (!in->n)
        return 0;
    unsigned c = (unsigned char)in->p[0];
    *in = (cs_str){in->p + 1, in->n - 1};
    return c;
}

/* Up to a line feed, or all. */
static inline cs_str input_line(cs_str *in)
{
    const char *lf = in->n ? memchr(in->p, '\n', in->n) : NULL;
    cs_str line = {in->p, lf ? (size_t)(lf - in->p) : in->n};
    size_t used = lf ? line.n + 1 : line.n;
    *in = (cs_str){in->p + used, in->n - used};
    return line;
}

static inline bool is_within(cs_str part, cs_str whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

#endif
