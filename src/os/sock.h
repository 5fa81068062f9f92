/* sock.h - socket addresses and listening sockets. -errno on failure. */
#ifndef OS_SOCK_H
#define OS_SOCK_H

#include "base/str.h"

#include <sys/socket.h>
#include <sys/un.h>

struct sock_addr {
    socklen_t len;
    bool both; /* ":8080" and "*:8080": IPv6 socket that takes IPv4 too (falls back to IPv4 only) */
    union {
        struct sockaddr sa;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } u;
};

/* Reads "127.0.0.1:80", "[::1]:80", ":80" and "*:80" (both families), "unix:/path", and "socket:NAME", a socket that
 * somebody else has opened and calls so (its family is AF_UNSPEC). No host names, no look-ups. Port 0 is allowed (the
 * kernel picks one). false with *error a sentence. */
bool sock_addr_parse(cs_str text, struct sock_addr *out, const char **error);
/* The NAME of "socket:NAME"; NULL for every other address. */
const char *sock_addr_name(const struct sock_addr *a);
/* As text in the same form ("*:80" for both families), with a NUL; out has room for SOCK_TEXT_MAX.
 * Returns the length. */
#define SOCK_TEXT_MAX 128
size_t sock_addr_text(const struct sock_addr *a, char out[SOCK_TEXT_MAX]);
/* The peer's address without port, IPv4-mapped as IPv4, "unix:" for unix sockets; for logs. */
size_t sock_peer_text(const struct sockaddr *sa, socklen_t len, char out[SOCK_TEXT_MAX]);
/* Address a socket is bound to. */
int sock_addr_of(int fd, struct sock_addr *out);
bool sock_addr_same(const struct sock_addr *a, const struct sock_addr *b);

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
/* Permissions of a unix socket's file. It follows no link, and changes nothing but a socket. */
int sock_set_mode(const char *path, unsigned mode);
/* accept4, non-blocking and close-on-exec. *peer_len 0 where the peer has no address. */
int sock_accept(int fd, struct sockaddr_storage *peer, socklen_t *peer_len);
/* Gives a listener that somebody else has made what sock_listen would: connections have TCP_NODELAY from it. Unix
 * sockets stay as they are. */
int sock_adopt(int fd);
/* How many connections wait in a TCP listener's queue; -errno where that cannot be told (unix sockets). */
int sock_queued(int fd);
/* How many that queue holds at most; 0 for a socket that is only bound, -errno as above. */
int sock_queue_room(int fd);
/* Binds and listens on / connects to a unix stream socket whose path may be longer than sun_path
 * allows (it goes through /proc/self/fd of the folder). */
int sock_unix_listen(const char *path, unsigned mode);
int sock_unix_connect(const char *path);
/* pid, uid, gid of the other side of a unix socket. */
int sock_unix_peer(int fd, int *pid, unsigned *uid, unsigned *gid);

#endif
