/* sock.c - addresses as text, listening sockets, unix sockets of any path length. */
#include "os/sock.h"

#include "os/fd.h"
#include "os/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sockaddr_in *in4(struct sock_addr *a)
{
    return (struct sockaddr_in *)(void *)&a->u;
}

static struct sockaddr_in6 *in6(struct sock_addr *a)
{
    return (struct sockaddr_in6 *)(void *)&a->u;
}

static bool fail(const char **error, const char *sentence)
{
    *error = sentence;
    return false;
}

static bool parse_unix(cs_str path, struct sock_addr *out, const char **error)
{
    if (path.n == 0 || path.p[0] != '/') {
        return fail(error,
                    "the path of a unix socket begins with a slash, such as unix:/run/x.sock");
    }
    if (path.n >= sizeof(out->u.un.sun_path))
        return fail(error, "the path of a unix socket has at most 107 bytes");
    if (memchr(path.p, '\0', path.n))
        return fail(error, "the path of a unix socket has no NUL in it");
    out->u.un.sun_family = AF_UNIX;
    memcpy(out->u.un.sun_path, path.p, path.n);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    return true;
}

/* As LISTEN_FDNAMES may have it. Kept where a unix socket has its path, the family tells them apart. */
static bool parse_name(cs_str name, struct sock_addr *out, const char **error)
{
    if (name.n == 0)
        return fail(error, "behind socket: stands the name of a socket that systemd passes");
    if (name.n >= sizeof(out->u.un.sun_path))
        return fail(error, "the name of a socket has at most 107 bytes");
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < ' ' || name.p[i] > '~' || name.p[i] == ':')
            return fail(error, "the name of a socket has no colons, and ASCII only");
    out->u.un.sun_family = AF_UNSPEC;
    memcpy(out->u.un.sun_path, name.p, name.n);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.n + 1);
    return true;
}

/* The number as inet_pton wants it, NUL-terminated. */
static bool to_number(int family, cs_str host, void *out)
{
    char z[INET6_ADDRSTRLEN];
    if (host.n >= sizeof(z) || memchr(host.p, '\0', host.n))
        return false;
    memcpy(z, host.p, host.n);
    z[host.n] = '\0';
    return inet_pton(family, z, out) == 1;
}

static bool parse_v6(cs_str host, in_port_t port, struct sock_addr *out, const char **error)
{
    if (host.n < 2 || host.p[host.n - 1] != ']')
        return fail(error, "an IPv6 address stands in brackets, such as [::1]:8080");
    cs_str inside = {host.p + 1, host.n - 2};
    if (!to_number(AF_INET6, inside, &in6(out)->sin6_addr))
        return fail(error, "this is no IPv6 address (zones such as %eth0 are not supported)");
    in6(out)->sin6_family = AF_INET6;
    in6(out)->sin6_port = port;
    out->len = sizeof(struct sockaddr_in6);
    return true;
}

static bool parse_v4(cs_str host, in_port_t port, struct sock_addr *out, const char **error)
{
    if (memchr(host.p, ':', host.n))
        return fail(error, "an IPv6 address stands in brackets, such as [::1]:8080");
    if (!to_number(AF_INET, host, &in4(out)->sin_addr))
        return fail(error, "an address is a number such as 127.0.0.1 (names are not looked up)");
    in4(out)->sin_family = AF_INET;
    in4(out)->sin_port = port;
    out->len = sizeof(struct sockaddr_in);
    return true;
}

static bool parse_any(in_port_t port, struct sock_addr *out)
{
    out->both = true;
    in6(out)->sin6_family = AF_INET6; /* its address is zero: any */
    in6(out)->sin6_port = port;
    out->len = sizeof(struct sockaddr_in6);
    return true;
}

bool sock_addr_parse(cs_str text, struct sock_addr *out, const char **error)
{
    uint64_t port;
    memset(out, 0, sizeof(*out));
    if (str_starts(text, CS_S("unix:")))
        return parse_unix((cs_str){text.p + 5, text.n - 5}, out, error);
    if (str_starts(text, CS_S("socket:")))
        return parse_name((cs_str){text.p + 7, text.n - 7}, out, error);
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    if (!colon)
        return fail(error, "an address ends in a colon and a port, such as :8080");
    cs_str host = {text.p, (size_t)(colon - text.p)};
    if (!str_to_u64((cs_str){colon + 1, text.n - host.n - 1}, 65535, &port))
        return fail(error, "the port behind the last colon is a number from 0 to 65535");
    in_port_t net_port = htons((uint16_t)port);
    if (host.n == 0 || str_is(host, "*"))
        return parse_any(net_port, out);
    return host.p[0] == '[' ? parse_v6(host, net_port, out, error)
                            : parse_v4(host, net_port, out, error);
}

const char *sock_addr_name(const struct sock_addr *a)
{
    return a->u.sa.sa_family == AF_UNSPEC && a->len ? a->u.un.sun_path : NULL;
}

static size_t length_of(int printed)
{
    return printed < 0 ? 0 : printed < SOCK_TEXT_MAX ? (size_t)printed : SOCK_TEXT_MAX - 1;
}

/* A path need not end in a NUL; an abstract name begins with one, and is shown as "@". */
static size_t unix_text(const struct sock_addr *a, char out[SOCK_TEXT_MAX])
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t n = a->len > head ? a->len - head : 0;
    const char *path = a->u.un.sun_path;
    if (n && path[0] == '\0')
        return length_of(snprintf(out, SOCK_TEXT_MAX, "unix:@%.*s", (int)n - 1, path + 1));
    return length_of(snprintf(out, SOCK_TEXT_MAX, "unix:%.*s", (int)n, path));
}

size_t sock_addr_text(const struct sock_addr *a, char out[SOCK_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN];
    struct sock_addr copy = *a;
    switch (a->u.sa.sa_family) {
    case AF_UNIX:
        return unix_text(a, out);
    case AF_INET:
        inet_ntop(AF_INET, &in4(&copy)->sin_addr, host, sizeof(host));
        return length_of(
            snprintf(out, SOCK_TEXT_MAX, "%s:%u", host, (unsigned)ntohs(in4(&copy)->sin_port)));
    case AF_INET6: {
        unsigned port = ntohs(in6(&copy)->sin6_port);
        if (a->both)
            return length_of(snprintf(out, SOCK_TEXT_MAX, "*:%u", port));
        inet_ntop(AF_INET6, &in6(&copy)->sin6_addr, host, sizeof(host));
        return length_of(snprintf(out, SOCK_TEXT_MAX, "[%s]:%u", host, port));
    }
    default:
        if (sock_addr_name(a))
            return length_of(snprintf(out, SOCK_TEXT_MAX, "socket:%s", sock_addr_name(a)));
        return length_of(snprintf(out, SOCK_TEXT_MAX, "unknown"));
    }
}

/* Once per connection: the four numbers by hand, inet_ntop goes through printf. */
static size_t v4_text(const unsigned char *b, char *out)
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

size_t sock_peer_text(const struct sockaddr *sa, socklen_t len, char out[SOCK_TEXT_MAX])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
        struct sockaddr_in a;
        memcpy(&a, sa, sizeof(a));
        return v4_text((const unsigned char *)&a.sin_addr, out);
    }
    if (len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 a;
        memcpy(&a, sa, sizeof(a));
        if (memcmp(a.sin6_addr.s6_addr, mapped, sizeof(mapped)) == 0)
            return v4_text(a.sin6_addr.s6_addr + 12, out);
        inet_ntop(AF_INET6, &a.sin6_addr, out, SOCK_TEXT_MAX);
        return strlen(out);
    }
    memcpy(out, "unix:", 6);
    return 5;
}

int sock_addr_of(int fd, struct sock_addr *out)
{
    memset(out, 0, sizeof(*out));
    out->len = sizeof(out->u);
    if (getsockname(fd, &out->u.sa, &out->len) < 0)
        return -errno;
    if (out->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6(out)->sin6_addr)) {
        int only = 1;
        socklen_t n = sizeof(only);
        out->both = getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &n) == 0 && only == 0;
    }
    return 0;
}

/* Two texts are the same only for the same address, so they are what is compared. */
bool sock_addr_same(const struct sock_addr *a, const struct sock_addr *b)
{
    char ta[SOCK_TEXT_MAX], tb[SOCK_TEXT_MAX];
    size_t na = sock_addr_text(a, ta), nb = sock_addr_text(b, tb);
    return a->u.sa.sa_family == b->u.sa.sa_family && str_eq((cs_str){ta, na}, (cs_str){tb, nb});
}

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
    if (rc < 0 || a.u.sa.sa_family == AF_UNIX)
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

int sock_set_mode(const char *path, unsigned mode)
{
    char name[32];
    struct stat st;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc = 0;
    if (fd < 0)
        return -errno;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        rc = -ENOTSOCK;
    else if ((st.st_mode & 0777) != mode && chmod(name, mode) < 0)
        rc = -errno;
    fd_close(&fd);
    return rc;
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
    struct sock_addr wide = *a, narrow = {.len = sizeof(struct sockaddr_in)};
    in4(&narrow)->sin_family = AF_INET;
    in4(&narrow)->sin_port = in6(&wide)->sin6_port;
    return listen_tcp(&narrow, o);
}

int sock_listen(const struct sock_addr *a, const struct sock_listen_opts *o)
{
    if (a->u.sa.sa_family == AF_UNIX) {
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

/* The address of a unix socket. A path that is too long goes by way of its opened folder, which
 * *dir keeps open until the address has been used. */
static int unix_addr(const char *path, struct sockaddr_un *out, int *dir)
{
    size_t room = sizeof(out->sun_path);
    *dir = -1;
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    if (strlen(path) < room) {
        memcpy(out->sun_path, path, strlen(path));
        return 0;
    }
    char *folder = file_dirname(path);
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return -errno;
    int n = snprintf(out->sun_path, room, "/proc/self/fd/%d/%s", fd, strrchr(path, '/') + 1);
    if (n < 0 || (size_t)n >= room) {
        fd_close(&fd);
        return -ENAMETOOLONG;
    }
    *dir = fd;
    return 0;
}

static int connect_to(const struct sockaddr_un *un, int flags)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)(const void *)un, sizeof(*un)) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

/* A socket file that refuses connections is left over from a server that died. */
static bool is_stale(const struct sockaddr_un *un)
{
    struct stat st;
    if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = connect_to(un, SOCK_NONBLOCK);
    if (fd >= 0) {
        fd_close(&fd);
        return false;
    }
    return fd == -ECONNREFUSED;
}

/* The file is born with its mode: a chmod afterwards could meet a link that somebody has put in its place. */
static int bind_file(int fd, const struct sockaddr_un *un, unsigned mode)
{
    mode_t mask = umask(~(mode_t)mode & 0777);
    int rc = bind(fd, (const struct sockaddr *)(const void *)un, sizeof(*un)) < 0 ? -errno : 0;
    umask(mask);
    return rc;
}

static int unix_bind(int fd, const struct sockaddr_un *un, unsigned mode)
{
    int rc = bind_file(fd, un, mode);
    if (rc == -EADDRINUSE && is_stale(un)) {
        unlink(un->sun_path);
        rc = bind_file(fd, un, mode);
    }
    if (rc == 0 && listen(fd, SOMAXCONN) < 0)
        rc = -errno;
    return rc;
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

int sock_unix_listen(const char *path, unsigned mode)
{
    struct sockaddr_un un;
    int dir, rc = unix_addr(path, &un, &dir);
    if (rc < 0)
        return rc;
    int fd = new_socket(AF_UNIX);
    rc = fd < 0 ? fd : unix_bind(fd, &un, mode);
    fd_close(&dir);
    if (rc < 0) {
        fd_close(&fd);
        return rc;
    }
    return fd;
}

int sock_unix_connect(const char *path)
{
    struct sockaddr_un un;
    int dir, rc = unix_addr(path, &un, &dir);
    if (rc < 0)
        return rc;
    int fd = connect_to(&un, 0);
    fd_close(&dir);
    return fd;
}

int sock_unix_peer(int fd, int *pid, unsigned *uid, unsigned *gid)
{
    struct ucred cred;
    socklen_t n = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
        return -errno;
    *pid = cred.pid;
    *uid = cred.uid;
    *gid = cred.gid;
    return 0;
}
