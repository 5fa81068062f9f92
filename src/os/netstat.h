/* netstat.h - what the kernel counts for a whole network namespace: /proc/net/netstat. */
#ifndef OS_NETSTAT_H
#define OS_NETSTAT_H

#include "base/str.h"

/* Of all TCP listeners, other programs' too. */
struct netstat_listen {
    uint64_t overflows; /* connections that found the queue full */
    uint64_t drops;     /* the same, and those lost for other reasons */
};

/* 0, or -errno; -ENODATA where the kernel does not tell. */
int netstat_listen(struct netstat_listen *out);
/* Number `field` of `group` in text that has, for each group, a line of names and a line of numbers, as in
 * "TcpExt: A B\nTcpExt: 1 2\n". False when there is none. */
bool netstat_field(cs_str text, cs_str group, cs_str field, uint64_t *out);

#endif
