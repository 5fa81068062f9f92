/* accept.h - which of the two formats does a client want? RFC 9110 section 12.5.1. */
#ifndef METRICS_ACCEPT_H
#define METRICS_ACCEPT_H

#include <cserver/cserver.h>

/* True when the Accept field names application/openmetrics-text (1.0.0, or no version) and likes plain text no better. */
_Bool accept_openmetrics(cs_str field);

#endif
