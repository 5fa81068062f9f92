/* sock.c - see sock.h. */
#include "os/sock.h"

#include "os/fd.h"
#include "os/sock_unix.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int new_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int backlog_of(int wanted)
{
    return wanted > 0 ? wanted : SOMAXCONN;
}

int sock_defer(int fd, bool on)
{
    return set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, on);
}

static int prepare_tcp(int fd, const struct sock_addr *a, const struct sock_listen_opts *o)
{
    int rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0)
        rc = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (rc == 0 && a->u.sa.sa_family == AF_INET6)
        rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !a->both);
    if (rc == 0 && o->deferred)
        rc = sock_defer(fd, true);
    return rc;
}

int sock_adopt(int fd)
{
    struct sock_addr a;
    int rc = sock_addr_of(fd, &a);
    if (rc < 0 || sock_addr_is_unix(&a))
        return rc;
    return set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

int sock_share(int fd, bool on)
{
    return set_option(fd, SOL_SOCKET, SO_REUSEPORT, on);
}

static int option_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t n = sizeof(value);
    return getsockopt(fd, level, name, &value, &n) == 0 ? value : 0;
}

/* A socket of systemd may hear one interface only: its twin must not hear more. */
static int same_device(int fd, int like)
{
    char name[16];
    socklen_t n = sizeof(name);
    if (getsockopt(like, SOL_SOCKET, SO_BINDTODEVICE, name, &n) < 0 || n == 0)
        return 0;
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, n) < 0 ? -errno : 0;
}

/* The kernel spreads connections only over sockets that are of one family and agree on V6ONLY. */
static int make_alike(int fd, int like, const struct sock_addr *a)
{
    struct sock_addr as = *a;
    struct sock_listen_opts opts = {.deferred = option_of(like, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0};
    if (a->u.sa.sa_family == AF_INET6)
        as.both = !option_of(like, IPPROTO_IPV6, IPV6_V6ONLY);
    int rc = prepare_tcp(fd, &as, &opts);
    if (rc == 0)
        rc = same_device(fd, like);
    if (rc == 0)
        rc = sock_share(fd, true);
    return rc;
}

int sock_twin(int fd)
{
    struct sock_addr a;
    int rc = sock_addr_of(fd, &a);
    if (rc < 0)
        return rc;
    int twin = new_socket(a.u.sa.sa_family);
    if (twin < 0)
        return twin;
    rc = make_alike(twin, fd, &a);
    if (rc == 0 && bind(twin, &a.u.sa, a.len) < 0)
        rc = -errno;
    if (rc < 0) {
        fd_close(&twin);
        return rc;
    }
    return twin;
}

int sock_start(int fd, int backlog)
{
    return listen(fd, backlog_of(backlog)) < 0 ? -errno : 0;
}

static int listen_tcp(const struct sock_addr *a, const struct sock_listen_opts *o)
{
    int fd = new_socket(a->u.sa.sa_family);
    if (fd < 0)
        return fd;
    int rc = prepare_tcp(fd, a, o);
    if (rc == 0 && (bind(fd, &a->u.sa, a->len) < 0 || listen(fd, backlog_of(o->backlog)) < 0))
        rc = -errno;
    if (rc < 0) {
        fd_close(&fd);
        return rc;
    }
    return fd;
}

/* A machine without IPv6 has no such family, or (disabled at run time) no such address. */
static int listen_both(const struct sock_addr *a, const struct sock_listen_opts *o)
{
    int fd = listen_tcp(a, o);
    if (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)
        return fd;
    struct sock_addr narrow = sock_addr_narrow(a);
    return listen_tcp(&narrow, o);
}

int sock_listen(const struct sock_addr *a, const struct sock_listen_opts *o)
{
    if (sock_addr_is_unix(a)) {
        int fd = sock_unix_listen(a->u.un.sun_path, o->unix_mode);
        if (fd >= 0)
            listen(fd, backlog_of(o->backlog)); /* again, for the length: cannot fail now */
        return fd;
    }
    return a->both ? listen_both(a, o) : listen_tcp(a, o);
}

int sock_accept(int fd, struct sockaddr_storage *peer, socklen_t *peer_len)
{
    *peer_len = sizeof(*peer);
    int conn = accept4(fd, (struct sockaddr *)(void *)peer, peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (conn < 0) {
        *peer_len = 0;
        return -errno;
    }
    if (*peer_len <= sizeof(sa_family_t))
        *peer_len = 0;
    return conn;
}

/* For a listener the kernel reports its accept queue in tcpi_unacked. */
int sock_queued(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return -errno;
    return (int)info.tcpi_unacked;
}

/* ... and its limit in tcpi_sacked. */
int sock_queue_room(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return -errno;
    return info.tcpi_state == TCP_LISTEN ? (int)info.tcpi_sacked : 0;
}
