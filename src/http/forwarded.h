/* forwarded.h - who the client is when proxies stand in front: X-Forwarded-For, and Forwarded of RFC 7239. Each proxy appends
 * whom it has the request from, so the list is true from its end on, as far as those are that have written it. It is read from
 * its beginning nevertheless, once: a quoted string can only be told from that side, and a client may make a list as long as a
 * head may be. */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "base/cidr.h"

/* Cuts the first element off the list *rest of X-Forwarded-For ("a, b, c"): false when it is used up. */
bool http_xff_next(cs_str *rest, cs_str *element);
/* The address in such an element: with or without port, IPv6 in brackets or not. false: it is none ("unknown"). */
bool http_xff_addr(cs_str element, struct cidr_addr *out);

/* The same for Forwarded: *element is the value of the element's `for`, unquoted as far as it has no backslashes; p NULL where it
 * has none. Commas and semicolons in quoted strings are no separators; one that does not end makes the rest one element without
 * an address. */
bool http_forwarded_next(cs_str *rest, cs_str *element);

#endif
