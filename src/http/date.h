/* date.h - HTTP dates (RFC 9110 section 5.6.7). */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include "base/str.h"

#include <time.h>

#define HTTP_DATE_LEN 29

/* "Sun, 06 Nov 1994 08:49:37 GMT", with a NUL. */
void http_date_format(time_t t, char out[HTTP_DATE_LEN + 1]);

/* Reads the three forms (IMF-fixdate, RFC 850, asctime); false if it is none of them. `now` decides
 * the century of the two-digit year (more than 50 years ahead means the past). */
bool http_date_parse(cs_str s, time_t now, time_t *out);

#endif
