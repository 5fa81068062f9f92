#include "serve/tell.h"

#include "serve/respond.h"

/* ---- On its way ---- */

static bool listens_on(const struct conf_site *site, const struct conf_listen *l)
{
    for (size_t i = 0; i < site->listen.n; i++)
        if (str_eq(site->listen.v[i], l->head.label))
            return true;
    return site->listen.n == 0;
}

static bool is_only_one(const struct conf *conf, const struct conf_listen *listen)
{
    size_t n = 0;

    for (size_t i = 0; i < conf->nsites; i++)
        n += listens_on(&conf->sites[i], listen);
    return n == 1;
}

static const char *reason(const struct request *r, const struct conf_listen *listen,
                          const struct gate_answer *why)
{
    if (is_only_one(r->serve->plan->conf, listen))
        return "the only one of this listener, which answers for all names";
    if (why->why == GATE_FIRST)
        return "no site of this listener has that name, and it is the first";
    return arena_printf(r->trace->arena, "its host %.*s%s", CS_F(why->name),
                        why->why == GATE_STAR ? ", for names that no other site has" : "")
        .p;
}

void tell_site(struct request *r, const struct conf_listen *listen, const struct gate_answer *why)
{
    struct trace *t = r->trace;

    trace_add(t, TRACE_LISTENER, listen->head.label, "%.*s", CS_F(request_client(r)))->at =
        &listen->head.at;
    trace_add(t, TRACE_SITE, r->site->head.label, "%s", reason(r, listen, why))->at =
        &r->site->head.at;
}

void tell_path(struct request *r)
{
    trace_add(r->trace, TRACE_PATH, (cs_str){"", 0}, "%.*s", CS_F(r->path));
}

void tell_jump(struct request *r, const char *key, const struct conf_origin *at, cs_str path,
               cs_str query)
{
    struct trace_step *s = trace_add(r->trace, TRACE_JUMP, str_of(key), "%.*s%s%.*s", CS_F(path),
                                     query.n ? "?" : "", CS_F(query));

    s->at = at;
    s->who = r->trace->who;
}

static const char *level_name(int level)
{
    return level <= CS_DEBUG  ? "debug"
           : level == CS_INFO ? "info"
           : level == CS_WARN ? "warn"
                              : "error";
}

void tell_log(struct request *r, int level, const char *who, const char *fmt, va_list ap)
{
    cs_str text = arena_vprintf(&r->arena, fmt, ap);

    trace_add(r->trace, TRACE_LOG, str_of(level_name(level)), "%.*s", CS_F(text))->who =
        str_of(who ? who : "");
}

/* ---- Modules ---- */

cs_str tell_enter(struct request *r, const struct conf_module *m)
{
    cs_str was = r->trace->who;

    r->trace->who = m->head.label;
    return was;
}

static const char *hook_name(int hook)
{
    return hook == CS_HOOK_ACCESS    ? "access"
           : hook == CS_HOOK_HANDLER ? "handler"
                                     : "header filter";
}

static const char *meaning(int hook, int rc)
{
    if (rc == CS_PENDING)
        return "will say later";
    if (rc < 0)
        return "fails";
    if (hook == CS_HOOK_HEADER_FILTER)
        return "has seen the head";
    if (rc == CS_DECLINED)
        return hook == CS_HOOK_ACCESS ? "lets it pass" : "leaves it to the next";
    return "answers";
}

static struct trace_step *note(struct request *r, const struct conf_module *m, int hook,
                               const char *text)
{
    struct trace_step *s = trace_add(r->trace, TRACE_ASK, str_of(hook_name(hook)), "%s", text);

    s->who = m->head.label;
    return s;
}

void tell_back(struct request *r, cs_str was, const struct conf_module *m, int hook, int rc)
{
    if (!r->dry)
        note(r, m, hook, meaning(hook, rc))->status = rc >= 200 ? rc : r->answered ? r->status : 0;
    r->trace->who = was;
}

void tell_field(struct request *r, cs_str name, cs_str value)
{
    trace_add(r->trace, TRACE_FIELD, name, "%.*s", CS_F(value));
}

/* ---- Asking ---- */

/* What it would answer with only it could tell: the answer is taken to be a 200, so that the filters can have their say. */
static int leave_open(struct request *r, struct trace_step *step, int hook, const char *why)
{
    step->text = str_of(why);
    if (hook == CS_HOOK_HEADER_FILTER)
        return CS_OK;
    if (hook == CS_HOOK_ACCESS)
        return CS_DECLINED;
    r->open = true;
    r->trace->who = (cs_str){"", 0};
    respond(r, 200, NULL, (struct respond_body){.fd = -1});
    return CS_OK;
}

int tell_ask(struct request *r, const struct conf_module *m, int hook)
{
    struct trace_step *step;
    int rc;

    step = note(r, m, hook, ""); /* before what it says */
    if (!m->desc->explain)
        return leave_open(r, step, hook,
                          hook == CS_HOOK_ACCESS ? "is asked, and does not say what it would do: "
                                                   "taken as if it let it pass"
                          : hook == CS_HOOK_HANDLER
                              ? "is asked, and does not say what it would do"
                              : "sees the head, and does not say what it would do with it");
    rc = m->desc->explain(request_public(r), hook);
    if (rc == CS_PENDING && !r->answered)
        return leave_open(r, step, hook,
                          hook == CS_HOOK_ACCESS
                              ? "would have to ask others: taken as if it let it pass"
                              : "would have to ask others before it answers");
    step->text = str_of(r->jumping && rc == CS_OK ? "leaves it to another path" : meaning(hook, rc));
    step->status = rc >= 200 ? rc : r->answered ? r->status : 0;
    return rc;
}

/* ---- For the debug log ---- */

static void add_origin(const struct conf_origin *at, struct buf *out)
{
    if (!at || !at->file)
        return;
    buf_add_z(out, " (");
    report_origin(at, out);
    buf_add_char(out, ')');
}

static void add_route(const struct trace_step *s, struct buf *out)
{
    cs_str label = s->route->label;

    if (s->verdict == TRACE_TAKEN)
        buf_printf(out, "route %.*s", CS_F(label.n ? label : CS_S("none, the site's root")));
    else
        buf_printf(out, "not route %.*s: %.*s", CS_F(label), CS_F(s->text));
}

static void add_step(const struct trace_step *s, struct buf *out)
{
    switch (s->what) {
    case TRACE_LISTENER:
        buf_printf(out, "listener %.*s, client %.*s", CS_F(s->key), CS_F(s->text));
        break;
    case TRACE_SITE:
        buf_printf(out, "site %.*s by %.*s", CS_F(s->key.n ? s->key : CS_S("without a section")),
                   CS_F(s->text));
        break;
    case TRACE_ROUTE:
        add_route(s, out);
        break;
    case TRACE_ASK:
        buf_printf(out, "%.*s (%.*s) %.*s", CS_F(s->who), CS_F(s->key), CS_F(s->text));
        if (s->status)
            buf_printf(out, " with %d", s->status);
        break;
    case TRACE_FIELD:
        buf_printf(out, "%s field %.*s", s->text.n ? "sets" : "removes", CS_F(s->key));
        break;
    default:
        buf_printf(out, "%.*s%s%.*s", CS_F(s->key), s->key.n ? ": " : "", CS_F(s->text));
    }
    add_origin(s->at, out);
}

void tell_line(const struct request *r, struct buf *out)
{
    for (const struct trace_step *s = r->trace->first; s; s = s->next) {
        if (s != r->trace->first)
            buf_add_z(out, "; ");
        if (s->what == TRACE_PATH)
            buf_add_z(out, "path ");
        add_step(s, out);
    }
}
