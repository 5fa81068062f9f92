/* cond.h - conditional requests (RFC 9110 section 13). */
#ifndef HTTP_COND_H
#define HTTP_COND_H

#include "http/head.h"

#include <time.h>

struct http_validators {
    cs_str etag;  /* with quotes, "W/" before it if weak; p == NULL: none */
    time_t mtime; /* -1: none */
};

/* Precedence of section 13.2.2. Returns 0 (go on), 304 or 412. `exists`: is there a representation
 * ("*" asks for it)? `now`: for dates. */
int http_cond_eval(const struct http_head *h, const struct http_validators *v, bool exists,
                   time_t now);

/* If-Range (section 13.1.5): may the Range field be honoured? True when there is no If-Range. Needs
 * a strong match, or exactly the date of Last-Modified with a representation at least a second old.
 */
bool http_cond_range_ok(const struct http_head *h, const struct http_validators *v, time_t now);

#endif
