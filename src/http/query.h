/* query.h - values by name in what a client has sent: the query of a target, the Cookie field. Nothing is refused: what is
 * malformed stands for itself. */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

#include "base/str.h"

/* First value of that name in "a=1&b=2", as sent; the names are compared decoded. p is NULL when there is none, not where it
 * is empty. */
cs_str http_query_find(cs_str query, cs_str name);
/* Is there something to decode in it? */
bool http_query_is_coded(cs_str raw);
/* "%41" and "+" decoded into out, which has room for raw.n bytes; escapes that are none stay. Returns the length. */
size_t http_query_decode(cs_str raw, char *out);

/* Value of that name in a Cookie field (RFC 6265 section 4.2.1), as sent. p is NULL when there is none. */
cs_str http_cookie_find(cs_str field, cs_str name);

#endif
