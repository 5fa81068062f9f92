/* text.h - a text that grows in a request's memory. When memory runs out it stays `failed`, and
 * whoever wrote it looks once, at the end. */
#ifndef METRICS_TEXT_H
#define METRICS_TEXT_H

#include <cserver/cserver.h>

struct text {
    cs_req *r;
    char *p;
    size_t n, room;
    _Bool failed;
};

/* Room for so many bytes: a good guess saves copies. */
void text_reserve(struct text *t, size_t n);
void text_add(struct text *t, cs_str s);
void text_z(struct text *t, const char *s);
void text_int(struct text *t, int64_t v);
/* As short as it can be read back; with a point or an exponent, also where it is whole. */
void text_real(struct text *t, double v);
/* With backslash, line break and (quotes) the double quote escaped; bytes that are not UTF-8 become "?". */
void text_escaped(struct text *t, cs_str s, _Bool quotes);

#endif
