#include "serve/shortlist.h"

#include "base/mem.h"

#include <stdlib.h>

/* A node's children lie side by side in the order of their first bytes. Where there are several, a table of all bytes says which
 * is whose: a step down costs the same however many there are. */
struct shortlist_node {
    cs_str label;          /* what it adds to its parent's beginning */
    const uint32_t *items; /* the numbers whose beginning ends here, ascending */
    size_t nitems;
    const struct shortlist_node *children;
    uint8_t *index; /* [byte]: number of the child + 1; NULL: there is one child at most */
};

struct entry {
    cs_str text;
    uint32_t number;
};

static int by_text(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t n = x->text.n < y->text.n ? x->text.n : y->text.n;
    int d = n ? memcmp(x->text.p, y->text.p, n) : 0;
    if (d)
        return d;
    if (x->text.n != y->text.n)
        return x->text.n < y->text.n ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* What all of a sorted range have in common, from `at` on. */
static size_t common(const struct entry *e, size_t n, size_t at)
{
    cs_str first = e[0].text, last = e[n - 1].text;
    size_t i = at;
    while (i < first.n && i < last.n && first.p[i] == last.p[i])
        i++;
    return i - at;
}

static size_t same_byte(const struct entry *e, size_t n, size_t at)
{
    size_t k = 1;
    while (k < n && e[k].text.p[at] == e[0].text.p[at])
        k++;
    return k;
}

static size_t take_items(struct shortlist_node *node, struct arena *a, const struct entry *e,
                         size_t n, size_t at)
{
    size_t k = 0;
    while (k < n && e[k].text.n == at)
        k++;
    uint32_t *items = k ? arena_alloc(a, k * sizeof *items) : NULL;
    for (size_t i = 0; i < k; i++)
        items[i] = e[i].number;
    node->items = items;
    node->nitems = k;
    return k;
}

/* The node of a sorted range that agrees up to `at`; `deep`: nodes with items above it. Returns the most of those on one way
 * down. As deep as the longest beginning at most, which is a value of the settings. */
static size_t fill(struct shortlist_node *node, struct arena *a, const struct entry *e, size_t n,
                   size_t at, size_t deep)
{
    size_t kinds = 0, most;
    node->label = (cs_str){e[0].text.p + at, common(e, n, at)};
    at += node->label.n;
    size_t own = take_items(node, a, e, n, at);
    most = deep += own > 0;
    e += own;
    n -= own;
    for (size_t i = 0; i < n; i += same_byte(e + i, n - i, at))
        kinds++;
    struct shortlist_node *children = kinds ? arena_zalloc(a, kinds * sizeof *children) : NULL;
    node->children = children;
    node->index = kinds > 1 ? arena_zalloc(a, 256) : NULL;
    for (size_t i = 0, c = 0, k; i < n; i += k, c++) {
        k = same_byte(e + i, n - i, at);
        if (node->index)
            node->index[(unsigned char)e[i].text.p[at]] = (uint8_t)(c + 1);
        size_t below = fill(&children[c], a, e + i, k, at, deep);
        most = below > most ? below : most;
    }
    return most;
}

void shortlist_init(struct shortlist *l, struct arena *a, const cs_str *beginnings, size_t n)
{
    struct entry *all = mem_alloc((n + 1) * sizeof *all);
    *l = (struct shortlist){.root = arena_zalloc(a, sizeof *l->root)};
    for (size_t i = 0; i < n; i++)
        all[i] = (struct entry){beginnings[i], (uint32_t)i};
    qsort(all, n, sizeof *all, by_text);
    size_t most = n ? fill(l->root, a, all, n, 0, 0) : 0;
    l->runs = arena_zalloc(a, (most + 1) * sizeof *l->runs);
    free(all);
}

/* NULL: no child can fit. */
static const struct shortlist_node *child_of(const struct shortlist_node *node, unsigned char c)
{
    if (!node->index)
        return node->children;
    return node->index[c] ? &node->children[node->index[c] - 1] : NULL;
}

/* Labels are mostly a few bytes. */
static bool fits(cs_str path, cs_str label)
{
    size_t i = 0;
    if (label.n > path.n)
        return false;
    while (i < label.n && label.p[i] == path.p[i])
        i++;
    return i == label.n;
}

void shortlist_start(struct shortlist_walk *w, const struct shortlist *l, cs_str path)
{
    *w = (struct shortlist_walk){.runs = l->runs};
    for (const struct shortlist_node *node = l->root; node && fits(path, node->label);) {
        path.p += node->label.n;
        path.n -= node->label.n;
        if (node->nitems)
            w->runs[w->nruns++] = (struct shortlist_run){node->items, node->items + node->nitems};
        node = path.n ? child_of(node, (unsigned char)path.p[0]) : NULL;
    }
}

long shortlist_next(struct shortlist_walk *w)
{
    struct shortlist_run *best = NULL;
    for (size_t i = 0; i < w->nruns; i++) {
        struct shortlist_run *run = &w->runs[i];
        if (run->next < run->end && (!best || *run->next < *best->next))
            best = run;
    }
    return best ? (long)*best->next++ : -1;
}
