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

static void add_values(struct text *out, const struct values *s)
{
    for (size_t i = 0; i < s->n; i++) {
        key(out, values_short_name(s, s->v[i].name));
        text_f(out, "%lld", (long long)s->v[i].value);
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

static void add_worker(struct text *out, const struct group *w)
{
    text_add(out, CS_S("{"));
    add_label(out, CS_S("worker"), w->name);
    add_label(out, CS_S("pid"), w->pid);
    add_label(out, CS_S("state"), w->state);
    add_label(out, CS_S("generation"), w->generation);
    add_label(out, CS_S("incarnation"), w->incarnation);
    add_values(out, &w->values);
    text_add(out, CS_S("}"));
}

static void add_workers(struct text *out, const struct groups *workers)
{
    const char *comma = "";
    text_add(out, CS_S("["));
    for (size_t i = 0; i < workers->n; i++) {
        if (!workers->v[i].up)
            continue;
        text_z(out, comma);
        add_worker(out, &workers->v[i]);
        comma = ",";
    }
    text_add(out, CS_S("]"));
}

/* Gauges of the server stand at the top; the number of workers gives way to their list. */
static void add_server(struct text *out, const struct values *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const cs_str name = s->v[i].name;
        const _Bool taken = name.n == 7 && !memcmp(name.p, "workers", 7);
        key(out, taken ? CS_S("worker_count") : name);
        text_f(out, "%lld", (long long)s->v[i].value);
    }
}

void view_json(const struct table *t, struct text *out)
{
    text_add(out, CS_S("{"));
    add_server(out, &t->server);
    key(out, CS_S("workers"));
    add_workers(out, &t->workers);
    key(out, CS_S("totals"));
    text_add(out, CS_S("{"));
    add_values(out, &t->totals);
    text_add(out, CS_S("}"));
    key(out, CS_S("modules"));
    text_add(out, CS_S("{"));
    for (size_t i = 0; i < t->modules.n; i++) {
        key(out, t->modules.v[i].name);
        text_add(out, CS_S("{"));
        add_values(out, &t->modules.v[i].values);
        text_add(out, CS_S("}"));
    }
    text_add(out, CS_S("}}\n"));
}
