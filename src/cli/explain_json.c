#include "cli/explain.h"

#include "base/json.h"
#include "serve/route.h"

#include <stdio.h>

static void put_origin(struct json *j, const struct conf_origin *at)
{
    struct buf text = {0};

    if (!at || (!at->file && !at->what))
        return;
    report_origin(at, &text);
    json_z(j, "at", text.p);
    buf_free(&text);
}

static void put_route(struct json *j, const struct trace_step *s)
{
    const struct conf_route *c = s->route->conf;

    json_object(j, s->verdict == TRACE_TAKEN ? "route" : NULL);
    json_str(j, "label", s->route->label);
    if (c) {
        json_str(j, "match", c->match);
        put_origin(j, s->at ? s->at : &c->match_at);
    }
    if (s->verdict != TRACE_TAKEN) {
        json_z(j, "verdict", trace_verdict_name(s->verdict));
        json_str(j, "why", s->text);
    }
    json_end_object(j);
}

static void put_near(struct json *j, const struct trace_step *s)
{
    json_array(j, "near");
    for (; s && s->what != TRACE_PATH; s = s->next)
        if (s->what == TRACE_ROUTE && s->verdict != TRACE_TAKEN)
            put_route(j, s);
    json_end_array(j);
}

static void put_captures(struct json *j, const struct trace_step *s)
{
    json_object(j, "captures");
    for (; s && s->what != TRACE_PATH; s = s->next)
        if (s->what == TRACE_CAPTURE) {
            char key[64];

            snprintf(key, sizeof key, "%.*s", CS_F(s->key));
            json_str(j, key, s->text);
        }
    json_end_object(j);
}

static void put_jump(struct json *j, const struct trace_step *s)
{
    json_object(j, "jump");
    json_str(j, "by", trace_jumper(s));
    json_str(j, "to", s->text);
    put_origin(j, s->at);
    json_end_object(j);
}

/* One search for a route: from its path to the next one. */
static void put_search(struct json *j, const struct trace_step *path)
{
    json_object(j, NULL);
    json_str(j, "path", path->text);
    for (const struct trace_step *s = path->next; s && s->what != TRACE_PATH; s = s->next)
        if (s->what == TRACE_ROUTE && s->verdict == TRACE_TAKEN)
            put_route(j, s);
        else if (s->what == TRACE_JUMP)
            put_jump(j, s);
    put_captures(j, path->next);
    put_near(j, path->next);
    json_end_object(j);
}

static void put_searches(struct json *j, const struct trace *t)
{
    json_array(j, "searches");
    for (const struct trace_step *s = t->first; s; s = s->next)
        if (s->what == TRACE_PATH)
            put_search(j, s);
    json_end_array(j);
}

static void put_arrival(struct json *j, const struct trace *t, const char *why)
{
    for (const struct trace_step *s = t->first; s; s = s->next) {
        if (s->what != TRACE_LISTENER && s->what != TRACE_SITE)
            continue;
        json_object(j, s->what == TRACE_SITE ? "site" : "listener");
        json_str(j, "label", s->key);
        json_str(j, "why", s->what == TRACE_SITE ? s->text : str_of(why));
        put_origin(j, s->at);
        json_end_object(j);
    }
}

static void put_modules(struct json *j, const struct trace *t)
{
    json_array(j, "modules");
    for (const struct trace_step *s = t->first; s; s = s->next) {
        if (s->what != TRACE_ASK && s->what != TRACE_SAY)
            continue;
        json_object(j, NULL);
        json_str(j, "module", s->who);
        json_str(j, s->what == TRACE_ASK ? "hook" : "key", s->key);
        json_str(j, "text", s->text);
        if (s->status)
            json_int(j, "status", s->status);
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_limits(struct json *j, const struct explanation *x)
{
    json_array(j, "limits");
    for (size_t i = 0; i < x->nlimits; i++) {
        json_object(j, NULL);
        json_str(j, "key", x->limits[i].key);
        json_str(j, "value", x->limits[i].value);
        put_origin(j, x->limits[i].at);
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_fields(struct json *j, const struct explanation *x)
{
    json_array(j, "headers");
    for (size_t i = 0; i < x->nfields; i++) {
        const struct explain_field *f = &x->fields[i];

        json_object(j, NULL);
        json_str(j, "name", f->name);
        json_str(j, "value", f->value);
        json_str(j, "by", f->by.n ? f->by : CS_S("server"));
        if (f->at.n)
            json_str(j, "at", f->at);
        json_end_object(j);
    }
    json_end_array(j);
}

static void put_log(struct json *j, const struct trace *t)
{
    json_array(j, "log");
    for (const struct trace_step *s = t->first; s; s = s->next)
        if (s->what == TRACE_LOG)
            json_str(j, NULL, s->text);
    json_end_array(j);
}

static void put_answer(struct json *j, const struct explanation *x)
{
    if (x->open)
        json_z(j, "status", NULL);
    else
        json_int(j, "status", x->status);
    json_str(j, "handler", x->handler);
    if (x->file.n)
        json_str(j, "file", x->file);
    for (size_t i = 0; i < x->nfields; i++)
        if (str_eq_nocase(x->fields[i].name, CS_S("Location")))
            json_str(j, "location", x->fields[i].value);
    put_fields(j, x);
}

void explain_json(const struct explain_wish *w, const struct explanation *x, const char *why,
                  struct buf *out)
{
    struct json j;

    json_init(&j, out);
    json_object(&j, NULL);
    json_str(&j, "request", w->request);
    json_str(&j, "client", x->client);
    if (x->client_why.n)
        json_str(&j, "client_why", x->client_why);
    put_arrival(&j, x->trace, why);
    json_str(&j, "path", x->path);
    json_str(&j, "query", x->query);
    if (x->route)
        json_str(&j, "route", x->route->label);
    put_searches(&j, x->trace);
    put_modules(&j, x->trace);
    put_limits(&j, x);
    put_answer(&j, x);
    put_log(&j, x->trace);
    json_end_object(&j);
    buf_add_char(out, '\n');
}
