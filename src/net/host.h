/* host.h - a host's address, its name, and why it has no address. Pure: nothing is looked up here. */
#ifndef NET_HOST_H
#define NET_HOST_H

#include "base/str.h"

#include <netinet/in.h>
#include <sys/socket.h>

union host_addr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

enum host_error {
    HOST_FOUND,  /* 0 */
    HOST_BAD,    /* no name can be so */
    HOST_NONE,   /* there is no such name, or it has no address */
    HOST_SILENT, /* the name servers do not answer */
    HOST_FAILED, /* they answer, and cannot tell; or they cannot be asked */
    HOST_BUSY,   /* too many names are being looked up */
};

/* End of a sentence, such as "there is no such host". */
const char *host_error_text(enum host_error e);

/* "127.0.0.1", "::1" or "[::1]"; port 0. False for everything else: leading zeros, zones, short forms such as 127.1. */
bool host_addr_parse(cs_str text, union host_addr *out);
/* Returns the length of what it writes. */
socklen_t host_addr_put(const union host_addr *a, uint16_t port, struct sockaddr_storage *to);

#define HOST_ROOM 256
/* The name in lower case, with a NUL. Returns its length; 0 if it is no name: ASCII letters, digits, "-", "_" and single
 * dots, up to 253 bytes, and a dot behind them that keeps search domains away. */
size_t host_name_put(cs_str name, char out[HOST_ROOM]);

#endif
