/* body.h - decoder of the chunked coding (RFC 9112 section 7.1).
 *
 * Pure and incremental: it is fed whatever has arrived and hands out slices of those same bytes.
 * Strict: sizes are 1..16 hex digits and at most INT64_MAX, as is the whole body; lines end in
 * CRLF; extensions are checked against the grammar and dropped; trailer fields are checked like
 * header fields and dropped. A line may be HTTP_CHUNKED_MAX_LINE bytes long; extensions and
 * trailers together may have HTTP_CHUNKED_MAX_OVERHEAD bytes, and one more for every 16 bytes of
 * body (uploads that sign each chunk are honest; a thousand bytes of extension for every byte of
 * body are not). */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "base/str.h"

#define HTTP_CHUNKED_MAX_LINE     4096
#define HTTP_CHUNKED_MAX_OVERHEAD 16384

struct http_chunked {
    int state; /* zero-initialise the struct */
    int digits;
    uint64_t left;     /* bytes of the current chunk still to come */
    size_t line;       /* bytes of the current size or trailer line */
    uint64_t overhead; /* bytes of extensions and trailers so far */
    uint64_t total;    /* body bytes handed out */
    const char *error; /* one sentence, when refused */
};

enum {
    HTTP_CHUNKED_MORE = 0, /* all input used, more is needed */
    HTTP_CHUNKED_DATA = 1, /* *data is a slice of the body; call again with the rest */
    HTTP_CHUNKED_DONE = 2  /* the body is complete, *used points behind its last CRLF */
};

/* Decodes from in[0..n). *used: bytes taken (they may be dropped after *data was consumed). Returns
 * one of the above, or -400 (bad coding), -431 (trailers or extensions too large); then and after
 * DONE a further call says the same again. */
int http_chunked_next(struct http_chunked *c, const char *in, size_t n, size_t *used, cs_str *data);

/* The head of a chunk of n bytes ("1f4\r\n") into out (room for 20); returns its length. n > 0: the
 * chunk of 0 ends the body. */
size_t http_chunk_head(char *out, size_t n);

#endif
