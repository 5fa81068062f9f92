/* text.h - a text that grows in a request's memory. When memory runs out it stays `failed`, and
 * whoever wrote it looks once, at the end. */
#ifndef STATUS_TEXT_H
#define STATUS_TEXT_H

#include <cserver/cserver.h>

struct text {
    cs_req *r;
    char *p;
    size_t n, room;
    _Bool failed;
};

void text_add(struct text *t, cs_str s);
void text_z(struct text *t, const char *s);
void text_f(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For the inside of an HTML element or a quoted attribute. */
void text_html(struct text *t, cs_str s);
/* For the inside of a JSON string. Names and labels are ASCII; any other byte becomes "?". */
void text_json(struct text *t, cs_str s);

#endif
