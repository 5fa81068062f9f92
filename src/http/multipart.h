/* multipart.h - multipart/byteranges (RFC 9110 section 14.6, RFC 2046 section 5.1.1): what stands around the parts of a body. */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include "base/arena.h"
#include "http/range.h"

struct http_multipart {
    cs_str type;   /* "multipart/byteranges; boundary=..." */
    cs_str *heads; /* one before each part: delimiter, type, Content-Range, empty line */
    cs_str tail;   /* behind the last part */
    uint64_t len;  /* of heads, parts and tail together */
};

/* For the n parts r[] of a representation of `size` bytes; texts in the arena. `type` is that of the whole; empty: the parts say
 * none. The boundary is made of `salt`, which nobody may be able to guess: who could would write files with parts of his own. */
void http_multipart_make(struct http_multipart *m, struct arena *a, const struct http_range *r,
                         int n, uint64_t size, cs_str type, const uint64_t salt[2]);

#endif
