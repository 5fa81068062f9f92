/* url.h - an absolute http or https URL, taken apart for a client (RFC 3986, RFC 9110 section 4.2).
 *
 * Pure: nothing is decoded or copied, all parts point into the text. What other readers of URLs could take for another host is
 * refused: a user name ("http://good@evil/"), a backslash or an escape in the host, an address that is none. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "base/str.h"

struct http_url {
    cs_str host;      /* for a name lookup: without port and brackets, any case; not empty */
    bool is_v6;       /* it was in brackets: an IPv6 address, without a zone */
    int port;         /* 1..65535; 80, or 443 of https, where none is given */
    bool tls;         /* https */
    cs_str authority; /* host[:port] as given, for Host; a colon without a port is left out */
    cs_str target;    /* "/a?b", up to "#"; may be empty or begin with "?": http_ask_write puts the
                       * missing "/" in front */
};

/* 0, or -1 with *error: the end of a sentence that begins with the URL ("has no host"). Other schemes are refused, and bytes
 * that no URL has: blanks, control bytes, what is not ASCII. Path and query may have all others, escapes in them are left alone. */
int http_url_parse(struct http_url *u, cs_str text, const char **error);

#endif
