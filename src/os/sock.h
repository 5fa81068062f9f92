/* sock.h - listening sockets, and what is accepted from them. -errno on failure. */
#ifndef OS_SOCK_H
#define OS_SOCK_H

#include "os/sock_addr.h"

struct sock_listen_opts {
    int backlog;
    bool deferred;      /* TCP_DEFER_ACCEPT: accept when the first bytes are there */
    unsigned unix_mode; /* permissions of a unix socket, such as 0666 */
};
/* A listening socket: non-blocking, close-on-exec, SO_REUSEADDR, TCP_NODELAY (accepted sockets
 * inherit it), IPV6_V6ONLY unless `both`. A stale unix socket file that nobody answers on is
 * replaced. */
int sock_listen(const struct sock_addr *a, const struct sock_listen_opts *o);
/* May more sockets be bound to the address of this TCP socket (SO_REUSEPORT, by the same user)? It may listen already. */
int sock_share(int fd, bool on);
/* Another socket at the address of a shared one, with its options: bound, and not listening, so it gets no connection
 * yet and may be closed without harm. */
int sock_twin(int fd);
/* A bound socket listens from now on. backlog 0: the kernel's most. */
int sock_start(int fd, int backlog);
/* A TCP listener, also one that listens already: accepted when the first bytes are there, or at once. */
int sock_defer(int fd, bool on);
/* accept4, non-blocking and close-on-exec. *peer_len 0 where the peer has no address. */
int sock_accept(int fd, struct sockaddr_storage *peer, socklen_t *peer_len);
/* Gives a listener that somebody else has made what sock_listen would: connections have TCP_NODELAY from it. Unix
 * sockets stay as they are. */
int sock_adopt(int fd);
/* How many connections wait in a TCP listener's queue; -errno where that cannot be told (unix sockets). */
int sock_queued(int fd);
/* How many that queue holds at most; 0 for a socket that is only bound, -errno as above. */
int sock_queue_room(int fd);

#endif
