/* table.c - one pass over all metrics. They are valid during the call only, so names are copied. */
#include "table.h"

#include <stdlib.h>

/* Room for one more element behind n in an array of the request: the array, moved when it was full.
 */
static void *grown(struct table *t, void *v, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return v;
    const size_t more = *room ? *room * 2 : 16;
    void *bigger = cs_alloc(t->r, more * size);
    if (!bigger) {
        t->failed = 1;
        return NULL;
    }
    if (n)
        memcpy(bigger, v, n * size);
    *room = more;
    return bigger;
}

static cs_str copied(struct table *t, cs_str s)
{
    char *p = cs_alloc(t->r, s.n + 1);
    if (!p) {
        t->failed = 1;
        return CS_S("");
    }
    memcpy(p, s.p, s.n);
    return (cs_str){p, s.n};
}

static _Bool equal(cs_str a, cs_str b)
{
    return a.n == b.n && (a.n == 0 || !memcmp(a.p, b.p, a.n));
}

static cs_str without_prefix(cs_str s, cs_str prefix)
{
    if (s.n <= prefix.n || memcmp(s.p, prefix.p, prefix.n))
        return s;
    return (cs_str){s.p + prefix.n, s.n - prefix.n};
}

const struct value *values_find(const struct values *s, cs_str name)
{
    for (size_t i = 0; i < s->n; i++)
        if (equal(s->v[i].name, name))
            return &s->v[i];
    return NULL;
}

cs_str values_short_name(const struct values *s, cs_str name)
{
    const cs_str tail = CS_S("_total");
    if (name.n <= tail.n || memcmp(name.p + name.n - tail.n, tail.p, tail.n))
        return name;
    const cs_str shorter = {name.p, name.n - tail.n};
    return values_find(s, shorter) ? name : shorter;
}

static void values_add(struct table *t, struct values *s, cs_str name, const cs_metric *m)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!equal(s->v[i].name, name))
            continue;
        s->v[i].value += m->value;
        return;
    }
    struct value *v = grown(t, s->v, s->n, &s->room, sizeof *v);
    if (!v)
        return;
    s->v = v;
    s->v[s->n++] = (struct value){copied(t, name), m->value, m->kind == CS_METRIC_GAUGE};
}

/* The group of that name, made when there is none; NULL: out of memory. */
static struct group *groups_at(struct table *t, struct groups *g, cs_str name)
{
    for (size_t i = g->n; i > 0; i--)
        if (equal(g->v[i - 1].name, name))
            return &g->v[i - 1];
    struct group *v = grown(t, g->v, g->n, &g->room, sizeof *v);
    if (!v)
        return NULL;
    g->v = v;
    g->v[g->n] = (struct group){.name = copied(t, name)};
    return &g->v[g->n++];
}

static cs_str label(const cs_metric *m, cs_str key)
{
    for (size_t i = 0; i + 1 < m->nlabels; i += 2)
        if (equal(m->labels[i], key))
            return m->labels[i + 1];
    return (cs_str){NULL, 0};
}

static void add_worker(struct table *t, cs_str number, cs_str name, const cs_metric *m)
{
    struct group *g = groups_at(t, &t->workers, number);
    if (!g)
        return;
    if (!equal(name, CS_S("worker_up"))) {
        values_add(t, &g->values, name, m);
        values_add(t, &t->totals, name, m);
        return;
    }
    g->up = m->value != 0;
    g->pid = copied(t, label(m, CS_S("pid")));
    g->state = copied(t, label(m, CS_S("state")));
    g->generation = copied(t, label(m, CS_S("generation")));
    g->incarnation = copied(t, label(m, CS_S("incarnation")));
}

static void add_module(struct table *t, cs_str module, cs_str name, const cs_metric *m)
{
    struct group *g = groups_at(t, &t->modules, module);
    name = without_prefix(name, module);
    if (g)
        values_add(t, &g->values, without_prefix(name, CS_S("_")), m);
}

static int on_metric(const cs_metric *m, void *arg)
{
    struct table *t = arg;
    const cs_str full = {m->name, strlen(m->name)};
    const cs_str name = without_prefix(full, CS_S("cserver_"));
    const cs_str worker = label(m, CS_S("worker")), module = label(m, CS_S("module"));
    if (module.n)
        add_module(t, module, full, m);
    else if (worker.n)
        add_worker(t, worker, name, m);
    else
        values_add(t, m->kind == CS_METRIC_GAUGE ? &t->server : &t->totals, name, m);
    return t->failed;
}

static int by_number(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->name.n != y->name.n)
        return x->name.n < y->name.n ? -1 : 1;
    return memcmp(x->name.p, y->name.p, x->name.n);
}

void table_read(struct table *t, cs_req *r)
{
    *t = (struct table){.r = r};
    cs_metric_each(on_metric, t);
    if (t->workers.n)
        qsort(t->workers.v, t->workers.n, sizeof *t->workers.v, by_number);
}
