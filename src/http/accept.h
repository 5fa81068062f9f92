/* accept.h - what a client would like, and how much (RFC 9110 section 12.4.2): lists of words with weights. */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include "base/str.h"

struct http_accept {
    int named; /* weight of the word itself, 0..1000; -1: it is not in the list */
    int rest;  /* that of "*"; -1: it is not in there */
};
#define HTTP_ACCEPT_NONE ((struct http_accept){-1, -1})

/* Adds one field's list to what those before it have said; the first that names the word counts. What is no word with a
 * weight is passed over. "gzip" is "x-gzip", too (section 8.4.1.3). */
void http_accept_read(cs_str list, cs_str word, struct http_accept *a);

/* The weight of the word; -1: nobody has said anything of it. */
static inline int http_accept_weight(const struct http_accept *a)
{
    return a->named >= 0 ? a->named : a->rest;
}

#endif
