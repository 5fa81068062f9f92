#include "base/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define LONGEST  INET6_ADDRSTRLEN
#define V4_AT    12
#define V4_BITS  32
#define ALL_BITS 128

static const uint8_t v4_mapped[V4_AT] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const struct cidr_addr *a)
{
    return memcmp(a->byte, v4_mapped, V4_AT) == 0;
}

bool cidr_addr_parse(cs_str text, struct cidr_addr *out)
{
    char z[LONGEST];
    if (text.n >= sizeof z || (text.n && memchr(text.p, '\0', text.n)))
        return false;
    memcpy(z, text.p ? text.p : "", text.n);
    z[text.n] = '\0';
    if (memchr(z, ':', text.n))
        return inet_pton(AF_INET6, z, out->byte) == 1;
    memcpy(out->byte, v4_mapped, V4_AT);
    return inet_pton(AF_INET, z, out->byte + V4_AT) == 1;
}

bool cidr_addr_of(const struct sockaddr *sa, struct cidr_addr *out)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    if (sa->sa_family == AF_INET) {
        memcpy(&in4, sa, sizeof in4);
        memcpy(out->byte, v4_mapped, V4_AT);
        memcpy(out->byte + V4_AT, &in4.sin_addr, sizeof in4.sin_addr);
        return true;
    }
    if (sa->sa_family != AF_INET6)
        return false;
    memcpy(&in6, sa, sizeof in6);
    memcpy(out->byte, &in6.sin6_addr, sizeof out->byte);
    return true;
}

/* For many requests: the four numbers by hand, inet_ntop goes through printf. */
static size_t v4_text(const uint8_t *b, char *out)
{
    char *p = out;
    for (int i = 0; i < 4; i++) {
        unsigned v = b[i];
        if (v >= 100)
            *p++ = (char)('0' + v / 100);
        if (v >= 10)
            *p++ = (char)('0' + v / 10 % 10);
        *p++ = (char)('0' + v % 10);
        *p++ = i < 3 ? '.' : '\0';
    }
    return (size_t)(p - out) - 1;
}

size_t cidr_addr_text(const struct cidr_addr *a, char out[CIDR_TEXT_MAX])
{
    if (is_v4(a))
        return v4_text(a->byte + V4_AT, out);
    inet_ntop(AF_INET6, a->byte, out, CIDR_TEXT_MAX);
    return strlen(out);
}

static bool bit(const struct cidr_addr *a, unsigned i)
{
    return a->byte[i / 8] >> (7 - i % 8) & 1;
}

static bool has_rest(const struct cidr *c)
{
    for (unsigned i = c->bits; i < ALL_BITS; i++)
        if (bit(&c->addr, i))
            return true;
    return false;
}

bool cidr_parse(cs_str text, struct cidr *out, const char **error)
{
    const char *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
    cs_str addr = {text.p, slash ? (size_t)(slash - text.p) : text.n};
    uint64_t bits = ALL_BITS;
    *error = "has a blank in it; addresses and blocks are separated by commas";
    if (text.n && memchr(text.p, ' ', text.n))
        return false;
    *error = "is no IP address and no block such as 10.0.0.0/8";
    if (!cidr_addr_parse(addr, &out->addr))
        return false;
    bool v4 = is_v4(&out->addr) && !memchr(addr.p, ':', addr.n);
    if (slash) {
        *error = v4 ? "needs a length from 0 to 32 behind its \"/\""
                    : "needs a length from 0 to 128 behind its \"/\"";
        if (!str_to_u64((cs_str){slash + 1, text.n - addr.n - 1}, v4 ? V4_BITS : ALL_BITS, &bits))
            return false;
        bits += v4 ? ALL_BITS - V4_BITS : 0;
    }
    out->bits = (unsigned)bits;
    *error = "has bits behind its length: write the block's first address, or a longer length";
    return !has_rest(out);
}

bool cidr_has(const struct cidr *c, const struct cidr_addr *a)
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;
    if (c->bits < ALL_BITS - V4_BITS && is_v4(a))
        return false;
    if (memcmp(c->addr.byte, a->byte, whole) != 0)
        return false;
    return !rest || (c->addr.byte[whole] ^ a->byte[whole]) >> (8 - rest) == 0;
}
