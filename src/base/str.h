/* str.h - strings as pointer and length (cs_str), as everywhere in cserver. They own nothing. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "api/cserver/cserver.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A cs_str of a NUL-terminated string; NULL gives an empty one. */
static inline cs_str str_of(const char *z)
{
    return (cs_str){z, z ? strlen(z) : 0};
}

static inline bool str_eq(cs_str a, cs_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(cs_str a, const char *z)
{
    return str_eq(a, str_of(z));
}

static inline bool str_starts(cs_str a, cs_str prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

static inline char str_lower_char(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* ASCII case does not matter. */
bool str_eq_nocase(cs_str a, cs_str b);

/* Without blanks and tabs at both ends. */
cs_str str_trim(cs_str s);

/* Cuts the next piece up to `sep` off *rest (sep itself is dropped); false when *rest is used up.
 * An empty *rest with p == NULL is used up; "a," gives "a" and "". */
bool str_split(cs_str *rest, char sep, cs_str *piece);

/* Whole string as a decimal number up to max: true and *out, or false (empty, sign, other bytes,
 * too large). */
bool str_to_u64(cs_str s, uint64_t max, uint64_t *out);

/* Length (1..4) of the well-formed UTF-8 sequence that s begins with; 0 if there is none. */
size_t str_utf8_next(cs_str s);

/* Without the beginning of a character that it ends with, if it was cut there; other bytes stay as they are. */
cs_str str_utf8_whole(cs_str s);

/* Is it well-formed UTF-8 (no overlong forms, no surrogates, up to U+10FFFF)? */
bool str_is_utf8(cs_str s);

/* Optimal-string-alignment edit distance, at most `max` + 1 (then it stops looking). For "did you
 * mean": a string of more than 255 bytes is too far from every other one. */
unsigned str_distance(cs_str a, cs_str b, unsigned max);

/* As vsnprintf, and much faster where there is nothing but text, %s and %.*s in fmt. */
int str_vprintf(char *to, size_t room, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

#endif
