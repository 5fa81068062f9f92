/* explain.h - a request as `cserver explain` is given it, and what it prints of the answer. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "serve/explain.h"

/* As on the command line, or in a line of standard input. */
struct explain_wish {
    cs_str request; /* "[METHOD] URL" */
    size_t nheaders;
    const cs_str *headers;       /* "Name: value" */
    cs_str client, listen, user; /* n 0: not given */
};

/* The request for it, in the arena; which listener, and why (a sentence's end). 0, or -1 with *error. */
int explain_compose(const struct explain_wish *w, const struct conf *conf, struct arena *a,
                    struct explain_ask *out, const char **why, struct buf *error);
/* One line of standard input: a plain request or a JSON object. 0, or -1 with *error. */
int explain_line(cs_str line, struct arena *a, struct explain_wish *out, struct buf *error);

void explain_text(const struct explain_wish *w, const struct explanation *x, const char *why,
                  struct buf *out);
/* In one line. */
void explain_json(const struct explain_wish *w, const struct explanation *x, const char *why,
                  struct buf *out);

#endif
