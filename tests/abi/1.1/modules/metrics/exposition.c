/* exposition.c - the server hands over all metrics of one name together, so a family begins where the name changes. */
#include "exposition.h"

struct writer {
    enum format format;
    struct text *out;
    size_t family, family_n; /* where the name of the last family stands in out */
};

const char *const exposition_type[] = {
    [PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
    [OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/* The name of the family: OpenMetrics takes the _total off a counter. */
static cs_str family_of(const struct writer *w, const cs_metric *m)
{
    const cs_str name = {m->name, strlen(m->name)}, total = CS_S("_total");
    if (w->format == OPENMETRICS && m->kind == CS_METRIC_COUNTER && cs_str_ends(name, total))
        return (cs_str){name.p, name.n - total.n};
    return name;
}

static void head_line(struct text *out, const char *keyword, cs_str family)
{
    text_z(out, keyword);
    text_add(out, family);
    text_add(out, CS_S(" "));
}

static void add_unit(struct writer *w, cs_str family)
{
    static const cs_str units[] = {{"_seconds", 8}, {"_bytes", 6}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!cs_str_ends(family, units[i]))
            continue;
        head_line(w->out, "# UNIT ", family);
        text_add(w->out, (cs_str){units[i].p + 1, units[i].n - 1});
        text_add(w->out, CS_S("\n"));
    }
}

static void begin_family(struct writer *w, const cs_metric *m, cs_str family)
{
    static const char *const types[] = {[CS_METRIC_COUNTER] = "counter\n",
                                        [CS_METRIC_GAUGE] = "gauge\n",
                                        [CS_METRIC_HISTOGRAM] = "histogram\n"};
    if (m->help && *m->help) {
        head_line(w->out, "# HELP ", family);
        text_escaped(w->out, (cs_str){m->help, strlen(m->help)}, w->format == OPENMETRICS);
        text_add(w->out, CS_S("\n"));
    }
    head_line(w->out, "# TYPE ", family);
    w->family = w->out->n - family.n - 1;
    w->family_n = family.n;
    text_z(w->out, types[m->kind]);
    if (w->format == OPENMETRICS)
        add_unit(w, family);
}

static _Bool is_same_family(const struct writer *w, cs_str family)
{
    return w->family_n == family.n && !memcmp(w->out->p + w->family, family.p, family.n);
}

static void add_label(struct text *out, _Bool first, cs_str name, cs_str value)
{
    text_add(out, first ? CS_S("{") : CS_S(","));
    text_add(out, name);
    text_add(out, CS_S("=\""));
    text_escaped(out, value, 1);
    text_add(out, CS_S("\""));
}

/* family_suffix{labels} up to the value; bound: that of a bucket, NULL: none. */
static void begin_sample(struct text *out, cs_str family, const char *suffix, const cs_metric *m,
                         const cs_str *bound)
{
    text_add(out, family);
    text_z(out, suffix);
    for (size_t i = 0; i + 1 < m->nlabels; i += 2)
        add_label(out, i == 0, m->labels[i], m->labels[i + 1]);
    if (bound)
        add_label(out, m->nlabels == 0, CS_S("le"), *bound);
    text_z(out, m->nlabels || bound ? "} " : " ");
}

static void add_number(struct text *out, int64_t v)
{
    text_int(out, v);
    text_add(out, CS_S("\n"));
}

static void add_bucket(struct text *out, cs_str family, const cs_metric *m, size_t i, uint64_t n)
{
    struct text bound = {.r = out->r};
    char digits[48];
    bound.p = digits;
    bound.room = sizeof digits;
    if (i < m->nbounds)
        text_real(&bound, m->bounds[i]);
    else
        text_z(&bound, "+Inf");
    begin_sample(out, family, "_bucket", m, &(cs_str){bound.p, bound.n});
    add_number(out, (int64_t)n);
}

/* Each bucket holds those before it too, and the last one is the number of all. */
static void add_histogram(struct text *out, cs_str family, const cs_metric *m)
{
    uint64_t n = 0;
    for (size_t i = 0; i <= m->nbounds; i++) {
        n += m->counts[i];
        add_bucket(out, family, m, i, n);
    }
    begin_sample(out, family, "_sum", m, NULL);
    text_real(out, m->sum);
    text_add(out, CS_S("\n"));
    begin_sample(out, family, "_count", m, NULL);
    add_number(out, (int64_t)n);
}

static int on_metric(const cs_metric *m, void *arg)
{
    struct writer *w = arg;
    const cs_str family = family_of(w, m);
    if (!is_same_family(w, family))
        begin_family(w, m, family);
    if (m->kind == CS_METRIC_HISTOGRAM) {
        add_histogram(w->out, family, m);
    } else {
        const _Bool total = w->format == OPENMETRICS && m->kind == CS_METRIC_COUNTER;
        begin_sample(w->out, family, total ? "_total" : "", m, NULL);
        add_number(w->out, m->value);
    }
    return w->out->failed;
}

void exposition_write(enum format format, struct text *out)
{
    struct writer w = {.format = format, .out = out};
    cs_metric_each(on_metric, &w);
    if (format == OPENMETRICS)
        text_z(out, "# EOF\n");
}
