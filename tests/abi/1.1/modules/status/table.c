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

static cs_str without_prefix(cs_str s, cs_str prefix)
{
    if (s.n <= prefix.n || memcmp(s.p, prefix.p, prefix.n))
        return s;
    return (cs_str){s.p + prefix.n, s.n - prefix.n};
}

const struct value *values_find(const struct values *s, cs_str name)
{
    for (size_t i = 0; i < s->n; i++)
        if (cs_str_eq(s->v[i].name, name))
            return &s->v[i];
    return NULL;
}

static cs_str without_suffix(cs_str s, cs_str suffix)
{
    if (s.n <= suffix.n || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n))
        return s;
    return (cs_str){s.p, s.n - suffix.n};
}

cs_str values_short_name(const struct values *s, const struct value *v)
{
    const cs_str shorter = without_suffix(v->name, v->nbounds ? CS_S("_seconds") : CS_S("_total"));
    return shorter.n < v->name.n && values_find(s, shorter) ? v->name : shorter;
}

int64_t value_quantile(const struct value *v, int percent)
{
    const uint64_t all = (uint64_t)v->value;
    const uint64_t rank =
        all / 100 * (uint64_t)percent + (all % 100 * (uint64_t)percent + 99) / 100;
    uint64_t seen = 0;
    if (!all)
        return -1;
    for (size_t i = 0; i < v->nbounds; i++) {
        seen += v->counts[i];
        if (seen >= rank)
            return (int64_t)(v->bounds[i] * 1e6 + 0.5);
    }
    return INT64_MAX;
}

int64_t value_part(const struct value *v, cs_str name)
{
    for (size_t i = 0; i < v->nparts; i++)
        if (cs_str_eq(v->parts[i].name, name))
            return v->parts[i].value;
    return 0;
}

static cs_str label(const cs_metric *m, cs_str key)
{
    for (size_t i = 0; i + 1 < m->nlabels; i += 2)
        if (cs_str_eq(m->labels[i], key))
            return m->labels[i + 1];
    return (cs_str){NULL, 0};
}

/* The key of the label that does not tell whose value it is. */
static cs_str other_label(const cs_metric *m)
{
    static const cs_str owners[] = {{"worker", 6},   {"process", 7}, {"module", 6},
                                    {"listener", 8}, {"address", 7}, {"topic", 5}};
    for (size_t i = 0; i + 1 < m->nlabels; i += 2) {
        size_t k = 0;
        while (k < sizeof owners / sizeof *owners && !cs_str_eq(m->labels[i], owners[k]))
            k++;
        if (k == sizeof owners / sizeof *owners)
            return m->labels[i];
    }
    return (cs_str){NULL, 0};
}

static void add_part(struct table *t, struct value *v, cs_str key, const cs_metric *m)
{
    const cs_str name = label(m, key);
    for (size_t i = 0; i < v->nparts; i++) {
        if (!cs_str_eq(v->parts[i].name, name))
            continue;
        v->parts[i].value += m->value;
        return;
    }
    struct part *parts = grown(t, v->parts, v->nparts, &v->room, sizeof *parts);
    if (!parts)
        return;
    if (!v->nparts)
        v->label = copied(t, key);
    v->parts = parts;
    v->parts[v->nparts++] = (struct part){copied(t, name), m->value};
}

static void add_buckets(struct table *t, struct value *v, const cs_metric *m)
{
    if (!v->nbounds) {
        double *bounds = cs_alloc(t->r, m->nbounds * sizeof *bounds);
        v->counts = cs_alloc(t->r, (m->nbounds + 1) * sizeof *v->counts);
        if (!bounds || !v->counts) {
            t->failed = 1;
            return;
        }
        memcpy(bounds, m->bounds, m->nbounds * sizeof *bounds);
        v->bounds = bounds;
        v->nbounds = m->nbounds;
    }
    for (size_t i = 0; i <= v->nbounds && i <= m->nbounds; i++)
        v->counts[i] += m->counts[i];
    v->sum += m->sum;
}

/* "mail_lag_peak", "mail_outbox_peak_bytes" */
static _Bool is_peak(const cs_metric *m)
{
    return m->kind == CS_METRIC_GAUGE && strstr(m->name, "_peak");
}

static void values_add(struct table *t, struct values *s, cs_str name, const cs_metric *m)
{
    size_t i = 0;
    while (i < s->n && !cs_str_eq(s->v[i].name, name))
        i++;
    if (i == s->n) {
        struct value *v = grown(t, s->v, s->n, &s->room, sizeof *v);
        if (!v)
            return;
        s->v = v;
        s->v[s->n++] = (struct value){.name = copied(t, name), .gauge = m->kind == CS_METRIC_GAUGE};
    }
    struct value *v = &s->v[i];
    const cs_str key = other_label(m);
    if (is_peak(m))
        v->value = m->value > v->value ? m->value : v->value;
    else
        v->value += m->value;
    if (key.n)
        add_part(t, v, key, m);
    if (m->kind == CS_METRIC_HISTOGRAM && m->nbounds)
        add_buckets(t, v, m);
}

/* The group of that name, made when there is none; NULL: out of memory. */
static struct group *groups_at(struct table *t, struct groups *g, cs_str name)
{
    for (size_t i = g->n; i > 0; i--)
        if (cs_str_eq(g->v[i - 1].name, name))
            return &g->v[i - 1];
    struct group *v = grown(t, g->v, g->n, &g->room, sizeof *v);
    if (!v)
        return NULL;
    g->v = v;
    g->v[g->n] = (struct group){.name = copied(t, name)};
    return &g->v[g->n++];
}

static void describe(struct table *t, struct group *g, const cs_metric *m)
{
    g->up = 1;
    g->pid = copied(t, label(m, CS_S("pid")));
    g->state = copied(t, label(m, CS_S("state")));
    g->generation = copied(t, label(m, CS_S("generation")));
    g->incarnation = copied(t, label(m, CS_S("incarnation")));
}

/* A worker or another process. */
static void add_process(struct table *t, struct groups *all, cs_str which, cs_str name,
                        const cs_metric *m)
{
    struct group *g = groups_at(t, all, which);
    if (!g)
        return;
    if (cs_str_eq(name, CS_S("worker_up")) || cs_str_eq(name, CS_S("process_up"))) {
        g->known = 1;
    } else if (cs_str_eq(name, CS_S("worker_info")) || cs_str_eq(name, CS_S("process_info"))) {
        describe(t, g, m);
    } else if (cs_str_starts(name,
                             CS_S("worker_drain_"))) { /* the sum of such times says nothing */
        values_add(t, &g->values, without_prefix(name, CS_S("worker_")), m);
    } else {
        values_add(t, &g->values, name, m);
        values_add(t, &t->totals, name, m);
    }
}

static void add_topic(struct table *t, cs_str topic, cs_str name, const cs_metric *m)
{
    struct group *g = groups_at(t, &t->topics, topic);
    if (g)
        values_add(t, &g->values, without_prefix(name, CS_S("topic_")), m);
}

static void add_listener(struct table *t, cs_str address, cs_str name, const cs_metric *m)
{
    struct group *g = groups_at(t, &t->listeners, address);
    if (!g)
        return;
    g->listener = copied(t, label(m, CS_S("listener")));
    if (cs_str_eq(name, CS_S("listen_info")))
        g->policy = copied(t, label(m, CS_S("policy")));
    else
        values_add(t, &g->values, without_prefix(name, CS_S("listen_")), m);
}

static void add_module(struct table *t, cs_str module, cs_str name, const cs_metric *m)
{
    struct group *g = groups_at(t, &t->modules, module);
    name = without_prefix(name, CS_S("cserver_")); /* what the server counts for it */
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
    const cs_str process = label(m, CS_S("process")), topic = label(m, CS_S("topic"));
    const cs_str address = label(m, CS_S("address"));
    if (module.n)
        add_module(t, module, full, m);
    else if (address.n)
        add_listener(t, address, name, m);
    else if (cs_str_eq(name, CS_S("build_info")))
        t->version = copied(t, label(m, CS_S("version")));
    else if (topic.n)
        add_topic(t, topic, name, m);
    else if (worker.n)
        add_process(t, &t->workers, worker, name, m);
    else if (process.n)
        add_process(t, &t->processes, process, name, m);
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
