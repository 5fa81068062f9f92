/* range.h - the Range field (RFC 9110 section 14). */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include "base/str.h"

struct http_range {
    uint64_t first, last; /* both inclusive */
};

/* Parses `value` against a representation of `size` bytes into out (room for max): what cannot be
 * satisfied is left out, the order stays, and a range that overlaps or touches one before it is
 * merged into that (sections 14.2, 15.3.7.2), so that nobody gets a byte twice. Returns the number of ranges (> 0); 0: ignore the
 * field and send everything (not "bytes", bad syntax, more than max ranges asked for, or several
 * that are together as large as the whole; a single "0-" is honoured, media players ask so); -416:
 * none can be satisfied. */
int http_range_parse(cs_str value, uint64_t size, struct http_range *out, int max);

#endif
