/* status.h - status codes and their reason phrases (RFC 9110 section 15, IANA registry). */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

#include "base/str.h"

/* The registered phrase, or a general one for the class ("Client Error"); 100..599. */
const char *http_status_reason(int status);

/* The whole status line, "HTTP/1.1 200 OK\r\n", ready to send; 100..599. Valid for ever. */
cs_str http_status_line(int status);

/* Never a body with it: 1xx, 204, 304 (RFC 9110 section 6.4.1). */
bool http_status_bodiless(int status);

#endif
