/* reach.h - where a connection to another server begins. It stands apart from net/dial.c so that the kit can stand in for it:
 * the test of a module reaches no network. */
#ifndef NET_REACH_H
#define NET_REACH_H

#include "os/sock_addr.h"

/* Begins to connect. 0: *fd is connected; -EINPROGRESS: it is when it can be written to; both non-blocking, close-on-exec,
 * and the caller's. Else -errno, and *why says so, valid until the next call. */
int reach(const struct sock_addr *a, int *fd, const char **why);

#endif
