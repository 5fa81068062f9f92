/* sock_addr.c - see sock_addr.h. */
#include "os/sock_addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

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

bool sock_addr_is_unix(const struct sock_addr *a)
{
    return a->u.sa.sa_family == AF_UNIX;
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

struct sock_addr sock_addr_narrow(const struct sock_addr *a)
{
    struct sock_addr wide = *a, narrow = {.len = sizeof(struct sockaddr_in)};
    in4(&narrow)->sin_family = AF_INET;
    in4(&narrow)->sin_port = in6(&wide)->sin6_port;
    return narrow;
}
