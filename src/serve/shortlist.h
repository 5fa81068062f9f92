/* shortlist.h - which of thousands of regexes are worth a try on a path: those whose literal beginning (literal.h) is the
 * path's, in their order. A tree of beginnings, filled once. A walk costs the length of the path and what it finds, not the
 * number of regexes. */
#ifndef SERVE_SHORTLIST_H
#define SERVE_SHORTLIST_H

#include "base/arena.h"

struct shortlist_node;

struct shortlist {
    struct shortlist_node *root;
    struct shortlist_run *runs; /* of the walk under way: there is one at a time */
};

struct shortlist_run {
    const uint32_t *next, *end;
};

struct shortlist_walk {
    struct shortlist_run *runs;
    size_t nruns;
};

/* beginnings[i] is that of number i; "": it fits every path. Their bytes are borrowed. */
void shortlist_init(struct shortlist *l, struct arena *a, const cs_str *beginnings, size_t n);
void shortlist_start(struct shortlist_walk *w, const struct shortlist *l, cs_str path);
/* The next number, smallest first; -1: no more. */
long shortlist_next(struct shortlist_walk *w);

#endif
