/* explain_text.c - for eyes: one fact a line, what it is on the left, where it comes from on the right. */
#include "cli/explain.h"
#include "serve/route.h"

#define KEY_WIDTH 10
#define AT_COLUMN 72

/* Facts that lie in the file have their place behind them. */
static void row(struct buf *out, const char *key, const struct conf_origin *at, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));

static void pad(struct buf *out, size_t width)
{
    buf_printf(out, "%*s", width + 2 < AT_COLUMN ? (int)(AT_COLUMN - width) : 2, "");
}

static void add_place(struct buf *out, size_t width, const struct conf_origin *at)
{
    if (!at || (!at->file && !at->what))
        return;
    pad(out, width);
    report_origin(at, out);
}

static void row(struct buf *out, const char *key, const struct conf_origin *at, const char *fmt,
                ...)
{
    size_t start = out->n;
    va_list ap;

    buf_printf(out, "  %-*s ", KEY_WIDTH, key);
    va_start(ap, fmt);
    buf_vprintf(out, fmt, ap);
    va_end(ap);
    add_place(out, out->n - start, at);
    buf_add_char(out, '\n');
}

static void put_route(const struct trace_step *s, struct buf *out)
{
    const struct conf_route *c = s->route->conf;
    bool taken = s->verdict == TRACE_TAKEN;

    if (!c)
        return;
    if (taken)
        row(out, "route", &c->match_at, "%.*s, match = %.*s", CS_F(s->route->label),
            CS_F(c->match));
    else
        row(out, "not", s->at ? s->at : &c->match_at, "%.*s, match = %.*s: %.*s",
            CS_F(s->route->label), CS_F(c->match), CS_F(s->text));
}

static void put_module(const struct trace_step *s, struct buf *out)
{
    if (s->status)
        row(out, "module", NULL, "%.*s (%.*s) %.*s with %d", CS_F(s->who), CS_F(s->key),
            CS_F(s->text), s->status);
    else
        row(out, "module", NULL, "%.*s (%.*s) %.*s", CS_F(s->who), CS_F(s->key), CS_F(s->text));
}

/* Routes were searched for this path, and none was found. */
static bool finds_none(const struct trace_step *path)
{
    for (const struct trace_step *s = path->next; s && s->what != TRACE_PATH; s = s->next)
        if (s->what == TRACE_ROUTE && s->verdict == TRACE_TAKEN)
            return false;
    return true;
}

/* What a module says of a field stands beside that. */
static bool is_shown_below(const struct explanation *x, const struct trace_step *s)
{
    for (size_t i = 0; i < x->nfields; i++)
        if (str_eq(x->fields[i].by, s->who) && explain_place(s->text, &x->fields[i]).n)
            return true;
    return false;
}

static void put_step(const struct explanation *x, const struct trace_step *s, const char *why,
                     struct buf *out)
{
    switch (s->what) {
    case TRACE_LISTENER:
        row(out, "listener", s->at, "%.*s: %s", CS_F(s->key), why);
        row(out, "client", NULL, "%.*s%s%.*s", CS_F(s->text), x->client_why.n ? ": " : "",
            CS_F(x->client_why));
        break;
    case TRACE_SITE:
        row(out, "site", s->at, "%.*s: %.*s", CS_F(s->key.n ? s->key : CS_S("(no section)")),
            CS_F(s->text));
        break;
    case TRACE_PATH:
        row(out, "path", NULL, "%.*s", CS_F(s->text));
        if (finds_none(s))
            row(out, "route", NULL, "none: what the site itself has");
        break;
    case TRACE_ROUTE:
        put_route(s, out);
        break;
    case TRACE_CAPTURE:
        row(out, "capture", NULL, "%.*s = %.*s", CS_F(s->key), CS_F(s->text));
        break;
    case TRACE_JUMP:
        row(out, "jump", s->at, "%.*s to %.*s", CS_F(trace_jumper(s)), CS_F(s->text));
        break;
    case TRACE_ASK:
        put_module(s, out);
        break;
    case TRACE_SAY:
        if (!is_shown_below(x, s))
            row(out, "", NULL, "%.*s: %.*s", CS_F(s->key), CS_F(s->text));
        break;
    case TRACE_LOG:
        row(out, "log", NULL, "%.*s", CS_F(s->text));
        break;
    default:
        break; /* fields stand in the answer's head */
    }
}

static void put_field(const struct explain_field *f, bool first, struct buf *out)
{
    size_t start = out->n;

    buf_printf(out, "  %-*s %.*s: %.*s", KEY_WIDTH, first ? "headers" : "", CS_F(f->name),
               CS_F(f->value));
    if (f->by.n)
        buf_printf(out, "  (%.*s)", CS_F(f->by));
    if (f->at.n) {
        pad(out, out->n - start);
        buf_add_str(out, f->at);
    }
    buf_add_char(out, '\n');
}

static void put_answer(const struct explanation *x, struct buf *out)
{
    if (x->open)
        row(out, "answer", NULL, "by %.*s, which does not say how", CS_F(x->handler));
    else if (x->handler.n)
        row(out, "answer", NULL, "%d by %.*s", x->status, CS_F(x->handler));
    else
        row(out, "answer", NULL, "%d by the server itself", x->status);
    if (x->file.n)
        row(out, "file", NULL, "%.*s", CS_F(x->file));
    for (size_t i = 0; i < x->nfields; i++)
        put_field(&x->fields[i], i == 0, out);
}

void explain_text(const struct explain_wish *w, const struct explanation *x, const char *why,
                  struct buf *out)
{
    buf_printf(out, "%.*s\n", CS_F(w->request));
    for (const struct trace_step *s = x->trace->first; s; s = s->next)
        put_step(x, s, why, out);
    if (x->trace->dropped)
        row(out, "not", NULL, "and %zu routes more whose match was tried", x->trace->dropped);
    for (size_t i = 0; i < x->nlimits; i++)
        row(out, i ? "" : "limits", x->limits[i].at, "%.*s = %.*s", CS_F(x->limits[i].key),
            CS_F(x->limits[i].value));
    put_answer(x, out);
}
