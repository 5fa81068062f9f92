/* fd.h - file descriptors. System-facing calls return 0 (or a descriptor, or a count) or -errno. */
#ifndef OS_FD_H
#define OS_FD_H

#include "base/str.h"

/* Closes *fd if it is >= 0 and sets it to -1. */
void fd_close(int *fd);
int fd_set_nonblock(int fd, bool on);
int fd_set_cloexec(int fd, bool on);
/* Close-on-exec for every descriptor from `first` on: before another program is run. */
void fd_cloexec_from(int first);
/* A non-blocking, close-on-exec eventfd. */
int fd_event_new(void);
void fd_event_ring(int fd);
/* Resets it; true if it had been rung. */
bool fd_event_drain(int fd);
/* Is it a socket that listens? */
bool fd_listens(int fd);
/* A connected pair of SOCK_SEQPACKET (or SOCK_STREAM) sockets, non-blocking, close-on-exec. */
int fd_pair(int type, int out[2]);
/* Writes everything, waiting where needed: for blocking descriptors. 0 or -errno. */
int fd_write_all(int fd, const char *p, size_t n);
/* The soft limit of open files raised to the hard one; returns the limit now in force. */
size_t fd_limit_raise(void);

#endif
