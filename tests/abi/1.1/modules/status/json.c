/* json.c - the table for programs. Numbers are exact; a name keeps its meaning once published. */
#include "view.h"

static void key(struct text *out, cs_str name)
{
    if (out->n && out->p[out->n - 1] != '{')
        text_add(out, CS_S(","));
    text_add(out, CS_S("\""));
    text_json(out, name);
    text_add(out, CS_S("\":"));
}

/* A bound that is not known is null. */
static void add_bound(struct text *out, const char *name, int64_t us)
{
    if (us < 0 || us == INT64_MAX)
        text_f(out, ",\"%s\":null", name);
    else
        text_f(out, ",\"%s\":%lld", name, (long long)us);
}

static void add_histogram(struct text *out, const struct value *v)
{
    text_f(out, "{\"count\":%lld,\"sum_seconds\":%.6f", (long long)v->value, v->sum);
    add_bound(out, "p50_us", value_quantile(v, 50));
    add_bound(out, "p99_us", value_quantile(v, 99));
    text_add(out, CS_S("}"));
}

/* "wakeups_by_cause":{"kick":1,...} */
static void add_parts(struct text *out, cs_str name, const struct value *v)
{
    text_add(out, CS_S(",\""));
    text_json(out, name);
    text_add(out, CS_S("_by_"));
    text_json(out, v->label);
    text_add(out, CS_S("\":{"));
    for (size_t i = 0; i < v->nparts; i++) {
        key(out, v->parts[i].name);
        text_f(out, "%lld", (long long)v->parts[i].value);
    }
    text_add(out, CS_S("}"));
}

static void add_values(struct text *out, const struct values *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct value *v = &s->v[i];
        const cs_str name = values_short_name(s, v);
        key(out, name);
        if (v->nbounds)
            add_histogram(out, v);
        else
            text_f(out, "%lld", (long long)v->value);
        if (v->nparts)
            add_parts(out, name, v);
    }
}

/* A label's value, as a number when it is one. */
static void add_label(struct text *out, cs_str name, cs_str value)
{
    size_t digits = 0;
    while (digits < value.n && value.p[digits] >= '0' && value.p[digits] <= '9')
        digits++;
    const _Bool number = digits && digits == value.n && (value.p[0] != '0' || digits == 1);
    key(out, name);
    if (!number)
        text_add(out, CS_S("\""));
    text_json(out, value);
    if (!number)
        text_add(out, CS_S("\""));
}

static void add_life(struct text *out, const struct group *p)
{
    add_label(out, CS_S("pid"), p->pid);
    add_label(out, CS_S("state"), p->state);
    add_label(out, CS_S("generation"), p->generation);
    add_label(out, CS_S("incarnation"), p->incarnation);
}

static void add_workers(struct text *out, const struct groups *workers)
{
    const char *comma = "";
    text_add(out, CS_S("["));
    for (size_t i = 0; i < workers->n; i++) {
        if (!workers->v[i].up)
            continue;
        text_z(out, comma);
        text_add(out, CS_S("{"));
        add_label(out, CS_S("worker"), workers->v[i].name);
        add_life(out, &workers->v[i]);
        add_values(out, &workers->v[i].values);
        text_add(out, CS_S("}"));
        comma = ",";
    }
    text_add(out, CS_S("]"));
}

static void add_listeners(struct text *out, const struct groups *listeners)
{
    text_add(out, CS_S("["));
    for (size_t i = 0; i < listeners->n; i++) {
        const struct group *l = &listeners->v[i];
        text_z(out, i ? ",{" : "{");
        add_label(out, CS_S("listener"), l->listener);
        add_label(out, CS_S("address"), l->name);
        add_label(out, CS_S("policy"), l->policy);
        add_values(out, &l->values);
        text_add(out, CS_S("}"));
    }
    text_add(out, CS_S("]"));
}

/* Of the master nothing is told but values. */
static void add_processes(struct text *out, const struct groups *processes)
{
    text_add(out, CS_S("{"));
    for (size_t i = 0; i < processes->n; i++) {
        const struct group *p = &processes->v[i];
        key(out, p->name);
        text_add(out, CS_S("{"));
        if (p->up)
            add_life(out, p);
        else if (p->known)
            add_label(out, CS_S("state"), CS_S("gone"));
        add_values(out, &p->values);
        text_add(out, CS_S("}"));
    }
    text_add(out, CS_S("}"));
}

/* {"static":{"loads":12}} */
static void add_groups(struct text *out, const struct groups *groups)
{
    text_add(out, CS_S("{"));
    for (size_t i = 0; i < groups->n; i++) {
        key(out, groups->v[i].name);
        text_add(out, CS_S("{"));
        add_values(out, &groups->v[i].values);
        text_add(out, CS_S("}"));
    }
    text_add(out, CS_S("}"));
}

/* Gauges of the server stand at the top; the number of workers gives way to their list. */
static void add_server(struct text *out, const struct values *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const cs_str name = s->v[i].name;
        key(out, cs_eq(name, "workers")             ? CS_S("worker_count")
                 : cs_eq(name, "config_generation") ? CS_S("generation")
                                                    : name);
        text_f(out, "%lld", (long long)s->v[i].value);
    }
}

void view_json(const struct table *t, struct text *out)
{
    text_add(out, CS_S("{"));
    add_label(out, CS_S("version"), t->version);
    add_server(out, &t->server);
    key(out, CS_S("listeners"));
    add_listeners(out, &t->listeners);
    key(out, CS_S("workers"));
    add_workers(out, &t->workers);
    key(out, CS_S("processes"));
    add_processes(out, &t->processes);
    key(out, CS_S("totals"));
    text_add(out, CS_S("{"));
    add_values(out, &t->totals);
    text_add(out, CS_S("}"));
    key(out, CS_S("topics"));
    add_groups(out, &t->topics);
    key(out, CS_S("modules"));
    add_groups(out, &t->modules);
    text_add(out, CS_S("}\n"));
}
