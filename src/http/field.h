/* field.h - field lines of requests and responses, one by one and to the letter (RFC 9112 section 5): name ":" value CRLF.
 *
 * The careful way, which goes on where the bytes ended the last time. scan_now->fields takes the lines that are all there and have
 * nothing odd; what it leaves is for this. Wrong is: an empty name or one that is not a token (a blank before the colon), a line
 * that begins with a blank (obs-fold), a bare CR or LF, NUL and other control bytes; each at its first byte. */
#ifndef HTTP_FIELD_H
#define HTTP_FIELD_H

#include "http/headers.h"

struct field_place {
    size_t line;    /* offset of the line being read */
    size_t colon;   /* of the colon in it; 0: not there yet */
    size_t scanned; /* bytes that were looked at; never before `line` */
};

enum {
    FIELD_MORE,  /* the line is not all there */
    FIELD_LINE,  /* *to has name and value (not .field), `line` is behind it */
    FIELD_FULL,  /* a line begins, and `to` is NULL: there is no room for it */
    FIELD_WRONG, /* *error: one sentence */
};

/* Does the empty line begin at `line`, and is it all there? */
static inline bool field_is_end(const char *p, size_t line, size_t n)
{
    return n - line >= 2 && p[line] == '\r' && p[line + 1] == '\n';
}

/* The line that begins at at->line, of p[0..n), and is not the empty one. The same bytes may be at another address the next
 * time. */
int field_next(struct field_place *at, const char *p, size_t n, struct http_header *to,
               const char **error);

#endif
