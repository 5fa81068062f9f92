/* page.c - the table for people: plain HTML, no script, nothing from outside. */
#include "view.h"

static const char style[] =
    ":root{color-scheme:light dark;--line:#8884;--soft:#8881;--dim:#777}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}"
    "p{margin:.3rem 0;color:var(--dim)}.scroll{overflow-x:auto}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .8rem;border-bottom:1px solid var(--line);text-align:right}"
    "th{font-weight:600;background:var(--soft)}th:first-child,td:first-child{text-align:left}"
    "tbody tr:hover{background:var(--soft)}.bad{color:#c22;font-weight:600}";

struct column {
    const char *title;
    const char *name;
};

static const struct column columns[] = {
    {"connections", "connections"},     {"requests", "requests_total"},
    {"accepts", "accepts_total"},       {"turn takes", "turn_takes_total"},
    {"turn gives", "turn_gives_total"}, {"recoveries", "turn_recovered_total"},
};
enum {
    COLUMNS = sizeof columns / sizeof columns[0]
};

static int64_t number(const struct values *s, const char *name)
{
    const struct value *v = values_find(s, (cs_str){name, strlen(name)});
    return v ? v->value : 0;
}

static void cell(struct text *out, cs_str s)
{
    text_add(out, CS_S("<td>"));
    text_html(out, s);
    text_add(out, CS_S("</td>"));
}

static void number_cell(struct text *out, const struct values *s, cs_str name)
{
    const struct value *v = values_find(s, name);
    if (v)
        text_f(out, "<td>%lld</td>", (long long)v->value);
    else
        text_add(out, CS_S("<td>-</td>"));
}

/* "2 d 03:04:05" */
static void add_time(struct text *out, int64_t s)
{
    if (s >= 86400)
        text_f(out, "%lld d ", (long long)(s / 86400));
    text_f(out, "%02d:%02d:%02d", (int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60));
}

static size_t count_up(const struct table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->workers.n; i++)
        n += t->workers.v[i].up;
    return n;
}

static void add_server(struct text *out, const struct table *t)
{
    const struct values *s = &t->server, *sum = &t->totals;
    text_f(out, "<h1>cserver</h1>\n<p>Generation %lld, up ", (long long)number(s, "generation"));
    add_time(out, number(s, "uptime_seconds"));
    text_f(out, ". Live workers: %zu, open connections: %lld, requests: %lld.</p>\n", count_up(t),
           (long long)number(sum, "connections"), (long long)number(sum, "requests_total"));
    text_f(out, "<p>Reloads: %lld, refused: %lld, crashed workers: %lld.</p>\n",
           (long long)number(sum, "reloads_total"), (long long)number(sum, "reloads_failed_total"),
           (long long)number(sum, "worker_crashes_total"));
    if (number(s, "degraded"))
        text_z(out, "<p class=\"bad\">Degraded: workers keep failing to start.</p>\n");
}

static void add_workers(struct text *out, const struct table *t)
{
    text_z(out,
           "<h2>Workers</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>worker</th><th>pid</th>"
           "<th>state</th><th>generation</th><th>incarnation</th>");
    for (int i = 0; i < COLUMNS; i++)
        text_f(out, "<th>%s</th>", columns[i].title);
    text_z(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < t->workers.n; i++) {
        const struct group *w = &t->workers.v[i];
        if (!w->up)
            continue;
        text_z(out, "<tr>");
        cell(out, w->name);
        cell(out, w->pid);
        cell(out, w->state);
        cell(out, w->generation);
        cell(out, w->incarnation);
        for (int c = 0; c < COLUMNS; c++)
            number_cell(out, &w->values, (cs_str){columns[c].name, strlen(columns[c].name)});
        text_z(out, "</tr>\n");
    }
    text_z(out, "</tbody></table></div>\n");
}

/* One line for each number of the workers: all together, and each that lives. */
static void add_counters(struct text *out, const struct table *t)
{
    text_z(
        out,
        "<h2>Counters</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>name</th><th>all</th>");
    for (size_t i = 0; i < t->workers.n; i++)
        if (t->workers.v[i].up)
            text_f(out, "<th>%.*s</th>", CS_F(t->workers.v[i].name));
    text_z(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < t->totals.n; i++) {
        const cs_str name = t->totals.v[i].name;
        text_z(out, "<tr>");
        cell(out, name);
        text_f(out, "<td>%lld</td>", (long long)t->totals.v[i].value);
        for (size_t w = 0; w < t->workers.n; w++)
            if (t->workers.v[w].up)
                number_cell(out, &t->workers.v[w].values, name);
        text_z(out, "</tr>\n");
    }
    text_z(out, "</tbody></table></div>\n");
}

static void add_modules(struct text *out, const struct table *t)
{
    if (!t->modules.n)
        return;
    text_z(out,
           "<h2>Modules</h2>\n<table>\n<thead><tr><th>module</th><th>name</th><th>value</th></tr>"
           "</thead>\n<tbody>\n");
    for (size_t i = 0; i < t->modules.n; i++) {
        const struct group *m = &t->modules.v[i];
        for (size_t k = 0; k < m->values.n; k++) {
            text_z(out, "<tr>");
            cell(out, m->name);
            cell(out, m->values.v[k].name);
            text_f(out, "<td>%lld</td></tr>\n", (long long)m->values.v[k].value);
        }
    }
    text_z(out, "</tbody></table>\n");
}

void view_page(const struct table *t, int64_t refresh, struct text *out)
{
    text_z(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width\">\n");
    if (refresh > 0)
        text_f(out, "<meta http-equiv=\"refresh\" content=\"%lld\">\n",
               (long long)((refresh + 999) / 1000));
    text_z(out, "<title>cserver status</title>\n<style>");
    text_z(out, style);
    text_z(out, "</style>\n</head>\n<body>\n");
    add_server(out, t);
    add_workers(out, t);
    add_counters(out, t);
    add_modules(out, t);
    text_z(out, "<p>The same as <a href=\"?json\">JSON</a>.</p>\n</body>\n</html>\n");
}
