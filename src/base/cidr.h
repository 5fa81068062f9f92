/* cidr.h - IP addresses and blocks of them ("10.0.0.0/8", "2001:db8::/32"), without names, ports and zones. An IPv4 address is the same as its
 * IPv4-mapped IPv6 form (RFC 4291 section 2.5.5.2), so that a socket for both families needs no rules of its own. Blocks that are larger than all of IPv4 have IPv6 addresses only: who
 * writes ::/0 means these. */
#ifndef BASE_CIDR_H
#define BASE_CIDR_H

#include "base/str.h"

struct cidr_addr {
    uint8_t byte[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
};

struct cidr {
    struct cidr_addr addr; /* bits behind the length are 0 */
    unsigned bits;         /* 0..128: of the 16 bytes */
};

/* "192.0.2.1" or "2001:db8::1", nothing around it. */
bool cidr_addr_parse(cs_str text, struct cidr_addr *out);
/* Of a socket; false: it has none. */
struct sockaddr;
bool cidr_addr_of(const struct sockaddr *sa, struct cidr_addr *out);
/* As text, with a NUL: its length. */
#define CIDR_TEXT_MAX 46
size_t cidr_addr_text(const struct cidr_addr *a, char out[CIDR_TEXT_MAX]);
/* A single address, or ADDRESS/LENGTH. Bits set behind the length are an error: such a block was meant otherwise. false
 * with *error a sentence's end, such as "is no address". */
bool cidr_parse(cs_str text, struct cidr *out, const char **error);
bool cidr_has(const struct cidr *c, const struct cidr_addr *a);

#endif
