#include "serve/trace.h"

void trace_init(struct trace *t, struct arena *a)
{
    *t = (struct trace){.arena = a, .most = TRACE_MOST};
}

static struct trace_step *append(struct trace *t, enum trace_what what)
{
    struct trace_step *s = arena_zalloc(t->arena, sizeof *s);

    s->what = what;
    s->who = t->who;
    if (t->last)
        t->last->next = s;
    else
        t->first = s;
    t->last = s;
    return s;
}

struct trace_step *trace_add(struct trace *t, enum trace_what what, cs_str key, const char *fmt,
                             ...)
{
    struct trace_step *s;
    va_list ap;

    if (!t)
        return NULL;
    s = append(t, what);
    s->key = arena_dup(t->arena, key);
    va_start(ap, fmt);
    s->text = arena_vprintf(t->arena, fmt, ap);
    va_end(ap);
    return s;
}

void trace_copy(struct trace *t, const struct trace_step *s)
{
    struct trace_step *copy = append(t, s->what);
    *copy = *s;
    copy->next = NULL;
    copy->who = arena_dup(t->arena, s->who);
    copy->key = arena_dup(t->arena, s->key);
    copy->text = arena_dup(t->arena, s->text);
}

/* Thousands of regexes may have been tried: a trace of a request must stay a page. */
static bool has_room(struct trace *t, enum trace_verdict verdict)
{
    if (verdict == TRACE_TAKEN || verdict == TRACE_GAVE_UP || t->nroutes++ < t->most)
        return true;
    t->dropped++;
    return false;
}

void trace_route(struct trace *t, const struct route *r, enum trace_verdict verdict,
                 const struct conf_origin *at, const char *fmt, ...)
{
    struct trace_step *s;
    va_list ap;

    if (!t || !has_room(t, verdict))
        return;
    s = append(t, TRACE_ROUTE);
    s->route = r;
    s->verdict = verdict;
    s->at = at;
    va_start(ap, fmt);
    s->text = arena_vprintf(t->arena, fmt, ap);
    va_end(ap);
}

cs_str trace_jumper(const struct trace_step *s)
{
    return str_is(s->key, "module") ? s->who : s->key;
}

const char *trace_verdict_name(enum trace_verdict verdict)
{
    static const char *const names[] = {"taken",   "method", "header",  "query", "client",
                                        "differs", "behind", "gave up", "near"};

    return names[verdict];
}
