/* split.c - the elements of a list. */
#include "conf/schema.h"

#include "base/mem.h"

#include <stdlib.h>

/* Takes one quoted element off the front of *line, and the comma behind it. */
static int take_quoted(cs_str *line, struct buf *one, struct buf *error)
{
    size_t i = 1;
    cs_str tail;

    for (; i < line->n && line->p[i] != '"'; i++) {
        if (line->p[i] == '\\' && i + 1 < line->n)
            i++;
        buf_add_char(one, line->p[i]);
    }
    if (i >= line->n) {
        buf_add_z(error, "a quote in the list is not closed");
        return -1;
    }
    tail = str_trim((cs_str){line->p + i + 1, line->n - i - 1});
    if (tail.n && tail.p[0] != ',') {
        buf_add_z(error,
                  "text behind a closing quote in the list; elements are separated by commas");
        return -1;
    }
    *line = tail.n ? str_trim((cs_str){tail.p + 1, tail.n - 1}) : tail;
    return 0;
}

static int take_plain(cs_str *line, struct buf *one, struct buf *error)
{
    const char *comma = memchr(line->p, ',', line->n);
    cs_str e = {line->p, comma ? (size_t)(comma - line->p) : line->n};

    e = str_trim(e);
    if (!e.n) {
        buf_add_z(error, "an empty element in the list: nothing before a comma");
        return -1;
    }
    buf_add_str(one, e);
    *line = comma ? str_trim((cs_str){comma + 1, line->n - (size_t)(comma + 1 - line->p)})
                  : (cs_str){line->p + line->n, 0};
    return 0;
}

struct growing {
    cs_str *v;
    size_t n, cap;
};

static void grow(struct growing *g, cs_str e)
{
    if (g->n == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 8;
        g->v = mem_resize(g->v, g->cap * sizeof *g->v);
    }
    g->v[g->n++] = e;
}

static int split_line(cs_str line, struct arena *a, struct growing *out, struct buf *error)
{
    struct buf one = {0};
    int r = 0;

    line = str_trim(line);
    while (line.n && r == 0) {
        buf_clear(&one);
        r = line.p[0] == '"' ? take_quoted(&line, &one, error) : take_plain(&line, &one, error);
        if (r == 0)
            grow(out, arena_dup(a, buf_str(&one)));
    }
    buf_free(&one);
    return r;
}

int schema_split(cs_str text, struct arena *a, cs_list *out, struct buf *error)
{
    struct growing g = {0};
    int r = 0;

    while (text.n && r == 0) {
        const char *lf = memchr(text.p, '\n', text.n);
        size_t n = lf ? (size_t)(lf - text.p) : text.n;

        r = split_line((cs_str){text.p, n}, a, &g, error);
        n += lf ? 1 : 0;
        text = (cs_str){text.p + n, text.n - n};
    }
    if (r == 0) {
        cs_str *v = arena_alloc(a, (g.n + 1) * sizeof *v);

        if (g.n)
            memcpy(v, g.v, g.n * sizeof *v);
        *out = (cs_list){g.n, v};
    }
    free(g.v);
    return r;
}
