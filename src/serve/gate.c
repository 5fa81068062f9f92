#include "serve/gate.h"

#include <stdlib.h>

struct host {
    cs_str key; /* of a wildcard: ".example.com" */
    struct gate_answer answer;
};

/* Sorted. */
struct hosts {
    size_t n;
    struct host *v;
};

struct gate {
    struct gate_answer otherwise;
    size_t nsites;
    struct hosts names, wild;
};

static bool listens_on(const struct conf_site *site, const struct conf_listen *l)
{
    for (size_t i = 0; i < site->listen.n; i++)
        if (str_eq(site->listen.v[i], l->head.label))
            return true;
    return site->listen.n == 0;
}

static int by_key(const void *a, const void *b)
{
    const struct host *x = a, *y = b;
    size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
    int d = n ? memcmp(x->key.p, y->key.p, n) : 0;
    return d ? d : (x->key.n > y->key.n) - (x->key.n < y->key.n);
}

static const struct host *look_up(const struct hosts *in, cs_str key)
{
    struct host wanted = {.key = key};
    return in->n ? bsearch(&wanted, in->v, in->n, sizeof wanted, by_key) : NULL;
}

static void add(struct hosts *to, cs_str key, struct gate_answer answer)
{
    to->v[to->n++] = (struct host){key, answer};
}

static void add_site(struct gate *g, const struct conf_site *site, size_t index)
{
    for (size_t i = 0; i < site->host.n; i++) {
        cs_str h = site->host.v[i];
        struct gate_answer answer = {index, GATE_NAME, h};
        if (str_is(h, "*")) {
            answer.why = GATE_STAR;
            g->otherwise = answer;
        } else if (str_starts(h, CS_S("*."))) {
            answer.why = GATE_WILDCARD;
            add(&g->wild, (cs_str){h.p + 1, h.n - 1}, answer);
        } else {
            add(&g->names, h, answer);
        }
    }
}

static void sort(struct hosts *h)
{
    if (h->n)
        qsort(h->v, h->n, sizeof *h->v, by_key);
}

struct gate *gate_new(struct arena *a, const struct conf *conf, const struct conf_listen *listen)
{
    struct gate *g = arena_zalloc(a, sizeof *g);
    size_t most = 1;
    for (size_t i = 0; i < conf->nsites; i++)
        most += conf->sites[i].host.n;
    g->names.v = arena_zalloc(a, most * sizeof *g->names.v);
    g->wild.v = arena_zalloc(a, most * sizeof *g->wild.v);
    g->otherwise = (struct gate_answer){0, GATE_FIRST, CS_S("")};
    for (size_t i = 0; i < conf->nsites; i++) {
        if (!listens_on(&conf->sites[i], listen))
            continue;
        if (!g->nsites++)
            g->otherwise.index = i;
        add_site(g, &conf->sites[i], i);
    }
    sort(&g->names);
    sort(&g->wild);
    return g;
}

struct gate_answer gate_find(const struct gate *g, cs_str host)
{
    if (g->nsites < 2)
        return g->otherwise;
    const struct host *h = look_up(&g->names, host);
    for (size_t i = 1; !h && i < host.n; i++) /* the longest first; the "*" stands for something */
        if (host.p[i] == '.')
            h = look_up(&g->wild, (cs_str){host.p + i, host.n - i});
    return h ? h->answer : g->otherwise;
}

bool gate_needs_host(const struct gate *g)
{
    return g->nsites > 1;
}
