/* page.c - the table for people: plain HTML, no script, nothing from outside. Many small tables, side by side where
 * there is room, so that a narrow screen shows each as it is. */
#include "view.h"

#include <stdint.h>

static const char style[] =
    ":root{color-scheme:light dark;--line:#8884;--soft:#8881;--dim:#777}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:80rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem;margin:0}h2{font-size:1.05rem;margin:0 0 .4rem}"
    "p{margin:.3rem 0;color:var(--dim)}"
    "main{display:flex;flex-wrap:wrap;gap:1.8rem 2.5rem;margin:1.8rem 0;align-items:flex-start}"
    "section{max-width:100%;overflow-x:auto}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:right}"
    "th{font-weight:600;background:var(--soft)}th:first-child,td:first-child{text-align:left}"
    "tbody tr:hover{background:var(--soft)}.all td{font-weight:600}.bad{color:#c22;font-weight:600}"
    "@media(max-width:600px){body{font-size:13px;margin-top:1rem}th,td{padding:.2rem .35rem}}";

enum how {
    NUMBER,
    BYTES,
    P50,
    P99
};

struct column {
    const char *title;
    const char *name; /* of the value */
    const char *part; /* of the value, NULL: the whole */
    enum how how;
};

/* A table with a line for each worker. */
struct sheet {
    const char *title;
    struct column columns[7]; /* up to one without a title */
};

#define COLUMN(title, name)                                                                        \
    {                                                                                              \
        title, name, NULL, NUMBER                                                                  \
    }
#define SHOWN(title, name, how)                                                                    \
    {                                                                                              \
        title, name, NULL, how                                                                     \
    }
#define CAUSE(title)                                                                               \
    {                                                                                              \
        title, "wakeups_total", title, NUMBER                                                      \
    }
#define END_OF_COLUMNS                                                                             \
    {                                                                                              \
        NULL, NULL, NULL, NUMBER                                                                   \
    }

static const struct sheet sheets[] = {
    {"Connections and requests",
     {COLUMN("opened", "connections_opened_total"), COLUMN("requests", "requests_total"),
      COLUMN("2xx", "responses_2xx_total"), COLUMN("3xx", "responses_3xx_total"),
      COLUMN("4xx", "responses_4xx_total"), COLUMN("5xx", "responses_5xx_total"), END_OF_COLUMNS}},
    {"Bytes",
     {SHOWN("in", "bytes_in_total", BYTES), SHOWN("out", "bytes_out_total", BYTES),
      END_OF_COLUMNS}},
    {"Streams",
     {COLUMN("open", "streams"), COLUMN("messages", "stream_messages_total"),
      SHOWN("bytes", "stream_bytes_total", BYTES), COLUMN("slow", "streams_slow_total"),
      COLUMN("skipped", "stream_skipped_total"), END_OF_COLUMNS}},
    {"Accept turn",
     {COLUMN("accepts", "accepts_total"), COLUMN("empty", "accept_empty_total"),
      COLUMN("takes", "turn_takes_total"), COLUMN("gives", "turn_gives_total"),
      COLUMN("recoveries", "turn_recovered_total"), END_OF_COLUMNS}},
    {"Kicks",
     {COLUMN("sent", "turn_kicks_sent_total"), COLUMN("received", "turn_kicks_received_total"),
      COLUMN("futile", "turn_kicks_futile_total"), END_OF_COLUMNS}},
    {"Turn held",
     {SHOWN("p50", "turn_hold_seconds", P50), SHOWN("p99", "turn_hold_seconds", P99),
      END_OF_COLUMNS}},
    {"Give to take",
     {SHOWN("p50", "turn_give_to_take_seconds", P50),
      SHOWN("p99", "turn_give_to_take_seconds", P99), END_OF_COLUMNS}},
    {"Wake-ups by cause",
     {CAUSE("kick"), CAUSE("listener"), CAUSE("connection"), CAUSE("bell"), CAUSE("timer"),
      CAUSE("nothing"), END_OF_COLUMNS}},
};

/* These have lines of the other processes too. */
static const struct sheet mail_sheets[] = {
    {"Mail",
     {COLUMN("published", "mail_published_total"), COLUMN("delivered", "mail_delivered_total"),
      COLUMN("waiting", "mail_backlog"), COLUMN("lag", "mail_lag"),
      COLUMN("lost", "mail_lost_total"), COLUMN("refused", "mail_refused_total"), END_OF_COLUMNS}},
    {"Mail until its handler",
     {SHOWN("p50", "mail_latency_seconds", P50), SHOWN("p99", "mail_latency_seconds", P99),
      END_OF_COLUMNS}},
    {"Mail in its handler",
     {SHOWN("p50", "mail_handler_seconds", P50), SHOWN("p99", "mail_handler_seconds", P99),
      END_OF_COLUMNS}},
};
enum {
    SHEETS = sizeof sheets / sizeof sheets[0],
    MAIL_SHEETS = sizeof mail_sheets / sizeof mail_sheets[0]
};

static cs_str str(const char *z)
{
    return (cs_str){z, strlen(z)};
}

static int64_t number(const struct values *s, const char *name)
{
    const struct value *v = values_find(s, str(name));
    return v ? v->value : 0;
}

static void cell(struct text *out, cs_str s)
{
    text_add(out, CS_S("<td>"));
    text_html(out, s);
    text_add(out, CS_S("</td>"));
}

static void begin_table(struct text *out, const char *title, const char *first)
{
    text_f(out, "<section><h2>%s</h2>\n<table>\n<thead><tr><th>%s</th>", title, first);
}

static void begin_lines(struct text *out)
{
    text_z(out, "</tr></thead>\n<tbody>\n");
}

static void end_table(struct text *out)
{
    text_z(out, "</tbody></table></section>\n");
}

static void add_bytes(struct text *out, int64_t n)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)n / 1024;
    size_t u = 0;
    if (n < 1024) {
        text_f(out, "%lld B", (long long)n);
        return;
    }
    for (; v >= 999.5 && u + 1 < sizeof units / sizeof *units; u++)
        v /= 1024;
    text_f(out, "%.*f %s", v < 99.95, v, units[u]);
}

static void add_duration(struct text *out, int64_t us)
{
    if (us < 1000)
        text_f(out, "%lld &micro;s", (long long)us);
    else if (us < 1000000)
        text_f(out, "%.*f ms", us < 99950, (double)us / 1e3);
    else
        text_f(out, "%.1f s", (double)us / 1e6);
}

static void add_quantile(struct text *out, const struct value *v, int percent)
{
    const int64_t us = value_quantile(v, percent);
    if (us < 0)
        text_z(out, "-");
    else if (us < INT64_MAX)
        add_duration(out, us);
    else {
        text_z(out, "&gt; ");
        add_duration(out, (int64_t)(v->bounds[v->nbounds - 1] * 1e6 + 0.5));
    }
}

static void value_cell(struct text *out, const struct values *s, const struct column *c)
{
    const struct value *v = values_find(s, str(c->name));
    text_z(out, "<td>");
    if (!v)
        text_z(out, "-");
    else if (c->how == BYTES)
        add_bytes(out, v->value);
    else if (c->how == P50 || c->how == P99)
        add_quantile(out, v, c->how == P50 ? 50 : 99);
    else
        text_f(out, "%lld", (long long)(c->part ? value_part(v, str(c->part)) : v->value));
    text_z(out, "</td>");
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
    text_z(out, "<h1>cserver ");
    text_html(out, t->version);
    text_f(out, "</h1>\n<p>Generation %lld, up ", (long long)number(s, "config_generation"));
    add_time(out, number(s, "uptime_seconds"));
    text_f(out, ". Live workers: %zu, open connections: %lld, requests: %lld.</p>\n", count_up(t),
           (long long)number(sum, "connections"), (long long)number(sum, "requests_total"));
    text_f(out,
           "<p>Reloads: %lld, refused: %lld. Crashed workers: %lld, recycled: %lld. Stalls: %lld, "
           "killed for one: %lld.</p>\n",
           (long long)number(sum, "reloads_total"), (long long)number(sum, "reloads_failed_total"),
           (long long)number(sum, "worker_crashes_total"),
           (long long)number(sum, "workers_recycled_total"), (long long)number(sum, "stalls_total"),
           (long long)number(sum, "stall_kills_total"));
    if (number(s, "degraded"))
        text_z(out,
               "<p class=\"bad\">Degraded: workers or the primary keep failing to start.</p>\n");
    if (number(s, "mail_broken"))
        text_z(out, "<p class=\"bad\">The lock of the mail is broken: no messages until the next "
                    "restart.</p>\n");
    if (number(sum, "mail_lagging"))
        text_f(out,
               "<p class=\"bad\">So far behind with their mail that nobody waits for them: "
               "%lld.</p>\n",
               (long long)number(sum, "mail_lagging"));
}

static void add_process(struct text *out, const struct group *p)
{
    static const struct column open = COLUMN("open", "connections"),
                               most = COLUMN("most", "connections_max");
    text_z(out, "<tr>");
    cell(out, p->name);
    cell(out, p->pid);
    if (p->up)
        cell(out, p->state);
    else
        text_z(out, "<td class=\"bad\">gone</td>");
    cell(out, p->generation);
    cell(out, p->incarnation);
    value_cell(out, &p->values, &open);
    value_cell(out, &p->values, &most);
    text_z(out, "</tr>\n");
}

/* A worker that has gone may have no successor; others that have gone are missed. */
static void add_processes(struct text *out, const struct table *t)
{
    begin_table(out, "Processes", "process");
    text_z(out, "<th>pid</th><th>state</th><th>generation</th><th>incarnation</th><th>open</th>"
                "<th>most</th>");
    begin_lines(out);
    for (size_t i = 0; i < t->workers.n; i++)
        if (t->workers.v[i].up)
            add_process(out, &t->workers.v[i]);
    for (size_t i = 0; i < t->processes.n; i++)
        if (t->processes.v[i].known)
            add_process(out, &t->processes.v[i]);
    end_table(out);
}

static const struct value *drain_of(const struct group *worker)
{
    return values_find(&worker->values, CS_S("drain_seconds"));
}

static void time_cell(struct text *out, const struct value *v)
{
    text_z(out, "<td>");
    if (v)
        add_time(out, v->value);
    else
        text_z(out, "-");
    text_z(out, "</td>");
}

static void add_drain(struct text *out, const struct group *w)
{
    static const struct column open = COLUMN("connections", "connections"),
                               streams = COLUMN("streams", "streams");
    text_z(out, "<tr>");
    cell(out, w->name);
    cell(out, w->pid);
    cell(out, w->generation);
    time_cell(out, drain_of(w));
    time_cell(out, values_find(&w->values, CS_S("drain_left_seconds")));
    value_cell(out, &w->values, &open);
    value_cell(out, &w->values, &streams);
    text_z(out, "</tr>\n");
}

static void add_drains(struct text *out, const struct table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->workers.n; i++) {
        if (!drain_of(&t->workers.v[i]))
            continue;
        if (n++ == 0) {
            begin_table(out, "Draining", "worker");
            text_z(out, "<th>pid</th><th>generation</th><th>for</th><th>at most</th>"
                        "<th>connections</th><th>streams</th>");
            begin_lines(out);
        }
        add_drain(out, &t->workers.v[i]);
    }
    if (n > 0)
        end_table(out);
}

static void add_listeners(struct text *out, const struct table *t)
{
    static const struct column waiting = COLUMN("waiting", "queue"),
                               most = COLUMN("most", "backlog");
    begin_table(out, "Listeners", "address");
    text_z(out, "<th>name</th><th>policy</th><th>waiting</th><th>most</th>");
    begin_lines(out);
    for (size_t i = 0; i < t->listeners.n; i++) {
        const struct group *l = &t->listeners.v[i];
        text_z(out, "<tr>");
        cell(out, l->name);
        cell(out, l->listener);
        cell(out, l->policy);
        value_cell(out, &l->values, &waiting);
        value_cell(out, &l->values, &most);
        text_z(out, "</tr>\n");
    }
    end_table(out);
}

static void sheet_line(struct text *out, const struct sheet *sheet, cs_str name,
                       const struct values *s)
{
    cell(out, name);
    for (const struct column *c = sheet->columns; c->title; c++)
        value_cell(out, s, c);
    text_z(out, "</tr>\n");
}

/* The workers that live, perhaps others, and all together, those that have gone too. */
static void add_sheet(struct text *out, const struct table *t, const struct sheet *sheet,
                      const struct groups *others)
{
    begin_table(out, sheet->title, others ? "process" : "worker");
    for (const struct column *c = sheet->columns; c->title; c++)
        text_f(out, "<th>%s</th>", c->title);
    begin_lines(out);
    for (size_t i = 0; i < t->workers.n; i++) {
        if (!t->workers.v[i].up)
            continue;
        text_z(out, "<tr>");
        sheet_line(out, sheet, t->workers.v[i].name, &t->workers.v[i].values);
    }
    for (size_t i = 0; others && i < others->n; i++) {
        text_z(out, "<tr>");
        sheet_line(out, sheet, others->v[i].name, &others->v[i].values);
    }
    text_z(out, "<tr class=\"all\">");
    sheet_line(out, sheet, CS_S("all"), &t->totals);
    end_table(out);
}

static void add_topics(struct text *out, const struct table *t)
{
    static const struct column columns[] = {
        COLUMN("published", "published_total"), SHOWN("size", "bytes_total", BYTES),
        COLUMN("delivered", "delivered_total"), COLUMN("lost", "lost_total")};
    if (!t->topics.n)
        return;
    begin_table(out, "Topics", "topic");
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        text_f(out, "<th>%s</th>", columns[c].title);
    begin_lines(out);
    for (size_t i = 0; i < t->topics.n; i++) {
        text_z(out, "<tr>");
        cell(out, t->topics.v[i].name);
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            value_cell(out, &t->topics.v[i].values, &columns[c]);
        text_z(out, "</tr>\n");
    }
    end_table(out);
}

static _Bool has_column(const struct sheet *sheet, cs_str name)
{
    for (const struct column *c = sheet->columns; c->title; c++)
        if (cs_eq(name, c->name))
            return 1;
    return 0;
}

static _Bool is_on_a_sheet(cs_str name)
{
    for (size_t i = 0; i < SHEETS; i++)
        if (has_column(&sheets[i], name))
            return 1;
    for (size_t i = 0; i < MAIL_SHEETS; i++)
        if (has_column(&mail_sheets[i], name))
            return 1;
    return 0;
}

enum rest {
    LIMITS,
    MAIL,
    MORE
};

static enum rest rest_of(cs_str name)
{
    if (cs_str_starts(name, CS_S("mail_")))
        return MAIL;
    return cs_str_starts(name, CS_S("limit_")) || cs_str_starts(name, CS_S("timeout_")) ? LIMITS
                                                                                        : MORE;
}

/* Counters that no other table shows: one line each, for all processes together. */
static void add_rest(struct text *out, const struct table *t, const char *title, enum rest which)
{
    begin_table(out, title, "counter");
    text_z(out, "<th>all</th>");
    begin_lines(out);
    for (size_t i = 0; i < t->totals.n; i++) {
        const struct value *v = &t->totals.v[i];
        if (v->gauge || is_on_a_sheet(v->name) || rest_of(v->name) != which)
            continue;
        text_z(out, "<tr>");
        cell(out, values_short_name(&t->totals, v));
        text_f(out, "<td>%lld</td></tr>\n", (long long)v->value);
    }
    end_table(out);
}

/* The crashes of modules that have none. */
static _Bool is_no_trouble(cs_str name, int64_t value)
{
    return !value && name.n > 7 && !memcmp(name.p, "module_", 7);
}

static void add_modules(struct text *out, const struct table *t)
{
    if (!t->modules.n)
        return;
    begin_table(out, "Modules", "module");
    text_z(out, "<th>counter</th><th>all</th>");
    begin_lines(out);
    for (size_t i = 0; i < t->modules.n; i++) {
        const struct group *m = &t->modules.v[i];
        for (size_t k = 0; k < m->values.n; k++) {
            const cs_str name = values_short_name(&m->values, &m->values.v[k]);
            if (is_no_trouble(name, m->values.v[k].value))
                continue;
            text_z(out, "<tr>");
            cell(out, m->name);
            cell(out, name);
            text_f(out, "<td>%lld</td></tr>\n", (long long)m->values.v[k].value);
        }
    }
    end_table(out);
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
    text_z(out, "<main>\n");
    add_processes(out, t);
    add_drains(out, t);
    add_listeners(out, t);
    for (size_t i = 0; i < SHEETS; i++)
        add_sheet(out, t, &sheets[i], NULL);
    for (size_t i = 0; i < MAIL_SHEETS; i++)
        add_sheet(out, t, &mail_sheets[i], &t->processes);
    add_topics(out, t);
    add_rest(out, t, "More about the mail", MAIL);
    add_rest(out, t, "Limits and timeouts", LIMITS);
    add_rest(out, t, "More", MORE);
    add_modules(out, t);
    text_z(out, "</main>\n<p>Lines named <b>all</b> hold workers that have gone too. p50 and p99 "
                "are rounded "
                "up to a power of two.</p>\n<p>The same as <a "
                "href=\"?json\">JSON</a>.</p>\n</body>\n</html>\n");
}
