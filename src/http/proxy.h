/* proxy.h - the PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): who a balancer in front of us has the
 * connection from, said before the first byte of HTTP. */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include "base/cidr.h"

#define HTTP_PROXY_MAX                                                                             \
    536 /* most bytes that a header may have here: version 2's 16, and 520 of address and extensions */

enum http_proxy_kind {
    HTTP_PROXY_LOCAL, /* of the balancer's own: a health check; its own address counts */
    HTTP_PROXY_IP,
    HTTP_PROXY_OTHER /* a unix socket, or UNKNOWN: nothing is known of the client */
};

struct http_proxy {
    enum http_proxy_kind kind;
    struct cidr_addr client, server; /* of IP */
    uint16_t client_port, server_port;
};

/* Reads a header from the beginning of `in`: its length and *out; 0: more bytes are needed; -1 with *error: there is none, or a
 * bad one. Extensions (TLVs) of version 2 are passed over. */
long http_proxy_parse(cs_str in, struct http_proxy *out, const char **error);

#endif
