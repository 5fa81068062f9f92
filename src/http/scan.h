/* scan.h - how far runs of bytes of one class go, many bytes at a time.
 *
 * There are several ways to find that out, all with the same results: byte by byte and 8 bytes at a
 * time (plain), 16 at a time (sse4.2), 32 at a time (avx2). Which of them this processor can is
 * looked up once, before main, and the widest is taken; CSERVER_SCAN=NAME in the environment asks for
 * another one. What belongs to a class stands in http_class and nowhere else.
 *
 * No way reads a byte outside of [p, p + n): at the end the last bytes are read once more together
 * with those before them, and what is shorter than that goes byte by byte. */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include "http/headers.h"

struct scan {
    const char *name;

    /* First byte at or behind i that may not stand in a request target, or in a field value; n if
     * there is none. */
    size_t (*target)(const char *p, size_t i, size_t n);
    size_t (*value)(const char *p, size_t i, size_t n);

    /* The same for HTTP_CLASS_HOST, from 0 on: mostly short. */
    size_t (*host)(const char *p, size_t n);

    /* Takes whole field lines from i on, name and trimmed value, as long as they are well formed
     * (token ":" value CRLF), all there, and at most `room`. Whatever else begins at the offset that
     * it returns, it is left to who looks more closely: the empty line, a line that is not all there, one
     * that is wrong. */
    size_t (*fields)(const char *p, size_t i, size_t n, struct http_header *to, size_t room,
                     size_t *taken);

    /* Copies a path that is its own normal form (http/uri.h). false: it may be another one; what out
     * has then means nothing. out has room for n bytes. */
    bool (*path)(const char *p, size_t n, char *out);
};

/* The chosen one. */
extern const struct scan *scan_now;

/* All that this processor can do, plain first; NULL behind the last one. */
const struct scan *scan_way(size_t i);

/* From now on this one, for tests and measurements. false: it is unknown here. */
bool scan_use(const char *name);

/* For a line whose name ends at `colon` and whose value ends at `end`, both of them known to be well formed: then
 * what is not above the blank is one, or HTAB. For the ways themselves. */
static inline void scan_keep(struct http_header *to, const char *line, const char *colon,
                             const char *end)
{
    const char *start = colon + 1;
    while (start < end && (unsigned char)*start <= ' ')
        start++;
    while (end > start && (unsigned char)end[-1] <= ' ')
        end--;
    to->name = (cs_str){line, (size_t)(colon - line)};
    to->value = (cs_str){start, (size_t)(end - start)};
}

#endif
