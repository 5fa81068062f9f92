#include "text.h"

#include <stdio.h>

/* A place for n more bytes, or NULL. The old piece stays with the request, so double each time. */
static char *make_room(struct text *t, size_t n)
{
    if (t->room - t->n >= n)
        return t->p + t->n;
    size_t room = t->room ? t->room : 4096;
    while (room - t->n < n)
        room *= 2;
    char *p = t->failed ? NULL : cs_alloc(t->r, room);
    if (!p) {
        t->failed = 1;
        return NULL;
    }
    if (t->n)
        memcpy(p, t->p, t->n);
    t->p = p;
    t->room = room;
    return p + t->n;
}

void text_add(struct text *t, cs_str s)
{
    char *to = s.n ? make_room(t, s.n) : NULL;
    if (!to)
        return;
    memcpy(to, s.p, s.n);
    t->n += s.n;
}

void text_z(struct text *t, const char *s)
{
    text_add(t, (cs_str){s, strlen(s)});
}

void text_f(struct text *t, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof line)
        t->failed = 1;
    else
        text_add(t, (cs_str){line, (size_t)n});
}

void text_html(struct text *t, cs_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
            text_f(t, "&#%d;", c);
        else
            text_add(t, (cs_str){s.p + i, 1});
    }
}

void text_json(struct text *t, cs_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            text_f(t, "\\%c", c);
        else if (c < ' ')
            text_f(t, "\\u%04x", c);
        else
            text_add(t, c < 127 ? (cs_str){s.p + i, 1} : CS_S("?"));
    }
}
