/* sock_addr.h - the address of a socket, and how it is written in the settings, in messages and in logs. */
#ifndef OS_SOCK_ADDR_H
#define OS_SOCK_ADDR_H

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
bool sock_addr_is_unix(const struct sock_addr *a);
/* As text in the same form ("*:80" for both families), with a NUL; out has room for SOCK_TEXT_MAX.
 * Returns the length. */
#define SOCK_TEXT_MAX 128
size_t sock_addr_text(const struct sock_addr *a, char out[SOCK_TEXT_MAX]);
/* Address a socket is bound to. 0 or -errno. */
int sock_addr_of(int fd, struct sock_addr *out);
bool sock_addr_same(const struct sock_addr *a, const struct sock_addr *b);
/* ":8080" for IPv4 alone, where the machine has no IPv6. */
struct sock_addr sock_addr_narrow(const struct sock_addr *a);

#endif
