#include "base/digits.h"

#include <endian.h>
#include <string.h>

/* Eight digits side by side in one word, the first one in its lowest byte. */
static char *put_half(char *at, uint32_t n)
{
    uint64_t x = __builtin_bswap32(n);
    x = (x | x << 16) & 0x0000ffff0000ffffu;
    x = (x | x << 8) & 0x00ff00ff00ff00ffu;
    x = (x >> 4 | x << 8) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    x = htole64(x + 0x3030303030303030u + letters * ('a' - '0' - 10));
    memcpy(at, &x, 8);
    return at + 8;
}

char *digits_put_hex(char *at, uint64_t n)
{
    at = put_half(at, (uint32_t)(n >> 32));
    return put_half(at, (uint32_t)n);
}
