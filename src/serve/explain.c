/* explain.c - the worker and the connection that are none, and what is read off the request in the end. */
#include "serve/explain.h"

#include "base/mem.h"
#include "serve/client.h"
#include "serve/jump.h"
#include "serve/request.h"
#include "serve/respond.h"

#include <stdlib.h>

#define ARENA_CHUNK (16 * 1024)

struct explainer {
    struct loop loop;
    struct host host;
    struct serve serve;
    struct conn conn;
    struct arena arena; /* of the explanation */
    struct explanation out;
    bool made_listeners;
};

/* ---- A worker that is none ---- */

static void make_listeners(struct serve_plan *plan)
{
    plan->nlisteners = plan->conf->nlistens;
    plan->listeners = mem_alloc(plan->nlisteners * sizeof *plan->listeners);
    for (size_t i = 0; i < plan->nlisteners; i++)
        plan->listeners[i] = (struct serve_listener){.conf = &plan->conf->listens[i]};
}

static void open_host(struct explainer *e, struct serve_plan *plan, struct region *region)
{
    struct host_opts opts = {.conf = plan->conf,
                             .loop = &e->loop,
                             .region = region,
                             .slot = IPC_SLOT_WORKERS,
                             .workers = 1,
                             .generation = 1};
    host_pretend(&e->host, &opts);
}

struct explainer *explainer_new(struct serve_plan *plan, struct region *region)
{
    struct explainer *e = mem_alloc(sizeof *e);
    struct serve *s = &e->serve;
    check(loop_init(&e->loop, 1) == 0);
    e->made_listeners = !plan->nlisteners;
    if (e->made_listeners)
        make_listeners(plan);
    open_host(e, plan, region);
    *s = (struct serve){.plan = plan,
                        .limits = &plan->conf->limits,
                        .loop = &e->loop,
                        .region = region,
                        .slot = region_slot(region, IPC_SLOT_WORKERS),
                        .slot_index = IPC_SLOT_WORKERS,
                        .host = &e->host,
                        .debug = plan->conf->server.module_debug,
                        .next_id = 1};
    arena_pool_init(&s->arenas, ARENA_CHUNK, 4);
    arena_init(&e->arena, NULL);
    return e;
}

void explainer_free(struct explainer *e)
{
    if (!e)
        return;
    arena_drop(&e->arena);
    arena_pool_drain(&e->serve.arenas);
    if (e->made_listeners)
        serve_plan_drop_listeners(e->serve.plan);
    host_part(&e->host);
    loop_free(&e->loop);
    free(e);
}

/* ---- A connection that leads nowhere ---- */

static void on_task(struct loop_task *t)
{
    (void)t;
}

static void make_conn(struct explainer *e, const struct explain_ask *ask)
{
    const struct serve_plan *plan = e->serve.plan;
    size_t i = 0;
    while (plan->listeners[i].conf != &plan->conf->listens[ask->section])
        i++;
    e->conn = (struct conn){.serve = &e->serve, .running = true, .listener = (uint8_t)i};
    e->conn.io.fd = -1;
    e->conn.task.run = on_task;
    e->conn.by_ip =
        ask->peer_len && cidr_addr_of((const struct sockaddr *)&ask->peer, &e->conn.peer);
    e->conn.told = plan->conf->listens[ask->section].proxy_protocol && e->conn.by_ip;
    e->conn.client = e->conn.peer;
}

static struct http_limits head_limits(const struct conf_limits *l)
{
    return (struct http_limits){.max_head = (size_t)l->max_head,
                                .max_uri = (size_t)l->max_uri,
                                .max_headers = (size_t)l->max_headers};
}

/* As conn.c does with what it has read. */
static void run(struct request *r, cs_str head)
{
    struct http_limits limits = head_limits(r->serve->limits);
    long n = http_head_parse(&r->head, head.p, head.n, &limits);
    r->reading = false;
    if (n > 0) {
        request_begin(r);
        while (r->jumping)
            jump_run(r);
        return;
    }
    r->refused = true;
    request_log(r, CS_INFO, NULL, "request refused with %ld: %s", n ? -n : 400,
                n ? r->head.error : "its head does not end");
    respond_refuse(r, n ? (int)-n : 400);
}

/* ---- What is read off it ---- */

/* The last module that was asked for an answer, if it did not leave that to others. */
static cs_str handler_of(const struct request *r)
{
    const struct trace_step *s = NULL;
    for (const struct trace_step *t = r->trace->first; t; t = t->next)
        if (t->what == TRACE_ASK && !str_is(t->key, "header filter"))
            s = t;
    return s && (s->status || r->open) ? s->who : (cs_str){"", 0};
}

/* Since it came to the path that answers. */
static cs_str said(const struct request *r, const char *key)
{
    cs_str text = {"", 0};
    for (const struct trace_step *s = r->trace->first; s; s = s->next)
        if (s->what == TRACE_JUMP)
            text = (cs_str){"", 0};
        else if (s->what == TRACE_SAY && str_is(s->key, key))
            text = s->text;
    return text;
}

/* Not where a page of ours came in its place: conditions or ranges stood against it, or an error page failed. */
static bool sends_file(const struct request *r)
{
    return jump_has_page(r) ? r->jump->inside : r->status != 412 && r->status != 416;
}

/* Modules know files by their path below the root. */
static cs_str file_of(struct explainer *e, const struct request *r)
{
    cs_str file = sends_file(r) ? said(r, "file") : (cs_str){"", 0};
    bool below = file.n && file.p[0] == '/' && r->route && r->route->root;
    const char *root = below ? e->serve.plan->roots[r->route->root - 1].path : "";
    return arena_printf(&e->arena, "%s%.*s", root, CS_F(file));
}

static bool has_word(cs_str text, cs_str word)
{
    for (size_t i = 0; i + word.n <= text.n; i++)
        if (str_eq_nocase((cs_str){text.p + i, word.n}, word) &&
            (i + word.n == text.n || strchr(": ,\"", text.p[i + word.n])))
            return true;
    return false;
}

static const struct conf_value *value_with(const struct conf_head *head, cs_str module, cs_str word)
{
    for (size_t i = 0; head && i < head->nvalues; i++) {
        const struct conf_value *v = &head->values[i];
        bool own = v->module ? str_eq(v->module->head.label, module)
                             : str_is(head->kind, "module") && str_eq(head->label, module);
        if (own && v->origin.file && has_word(v->text, word))
            return v;
    }
    return NULL;
}

/* Where no module has told where a field stands: the innermost of its keys that names it. */
static const struct conf_origin *key_with(const struct request *r, cs_str module, cs_str name)
{
    const struct conf *conf = r->serve->plan->conf;
    const struct conf_head *heads[3] = {r->route && r->route->conf ? &r->route->conf->head : NULL,
                                        r->site ? &r->site->head : NULL, NULL};
    for (size_t i = 0; i < conf->nmodules; i++)
        if (str_eq(conf->modules[i].head.label, module))
            heads[2] = &conf->modules[i].head;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        const struct conf_value *v = value_with(heads[i], module, name);
        if (v)
            return &v->origin;
    }
    return NULL;
}

cs_str explain_place(cs_str said, const struct explain_field *f)
{
    size_t n = f->name.n + 2 + f->value.n;
    bool long_enough = said.n > n + 3;
    if (!long_enough || !str_eq_nocase((cs_str){said.p, f->name.n}, f->name) ||
        memcmp(said.p + f->name.n, ": ", 2) != 0 ||
        memcmp(said.p + f->name.n + 2, f->value.p, f->value.n) != 0 ||
        memcmp(said.p + n, " (", 2) != 0 || said.p[said.n - 1] != ')')
        return (cs_str){"", 0};
    return (cs_str){said.p + n + 2, said.n - n - 3};
}

static cs_str place_of(struct explainer *e, const struct request *r, const struct explain_field *f)
{
    cs_str at = {"", 0};
    struct buf text = {0};
    for (const struct trace_step *s = r->trace->first; s; s = s->next) {
        cs_str told =
            s->what == TRACE_SAY && str_eq(s->who, f->by) ? explain_place(s->text, f) : at;
        at = told.n ? told : at;
    }
    const struct conf_origin *key = at.n ? NULL : key_with(r, f->by, f->name);
    if (key)
        report_origin(key, &text);
    at = arena_dup(&e->arena, key ? buf_str(&text) : at);
    buf_free(&text);
    return at;
}

static cs_str setter_of(const struct request *r, cs_str name, cs_str value)
{
    cs_str by = {"", 0};
    for (const struct trace_step *s = r->trace->first; s; s = s->next)
        if (s->what == TRACE_FIELD && str_eq_nocase(s->key, name) && str_eq(s->text, value))
            by = s->who;
    return by;
}

/* Of no answer in particular, or of one that is not known. */
static bool says_nothing(const struct request *r, cs_str name)
{
    return str_is(name, "Date") || (r->open && str_is(name, "Content-Length"));
}

static void add_field(struct explainer *e, const struct request *r, cs_str line)
{
    struct explanation *x = &e->out;
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon)
        return; /* the status line */
    cs_str name = {line.p, (size_t)(colon - line.p)};
    if (says_nothing(r, name))
        return;
    struct explain_field *f = &x->fields[x->nfields++];
    f->name = arena_dup(&e->arena, name);
    f->value = arena_dup(&e->arena, (cs_str){colon + 2, line.n - f->name.n - 2});
    f->by = setter_of(r, f->name, f->value);
    f->at = f->by.n ? place_of(e, r, f) : (cs_str){"", 0};
}

static size_t count_lines(cs_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

/* The head as it would be sent, which the first pieces of the answer begin with. */
static void read_fields(struct explainer *e, const struct request *r)
{
    const struct out_piece *p = r->out.first;
    cs_str rest = p ? (cs_str){p->p, (size_t)r->out.head} : (cs_str){0};
    e->out.fields = arena_alloc(&e->arena, (count_lines(rest) + 1) * sizeof *e->out.fields);
    while (rest.n > 2) {
        const char *end = memchr(rest.p, '\r', rest.n);
        cs_str line = {rest.p, end ? (size_t)(end - rest.p) : rest.n};
        if (line.n)
            add_field(e, r, line);
        if (!end || rest.n < line.n + 2)
            return;
        rest = (cs_str){rest.p + line.n + 2, rest.n - line.n - 2};
    }
}

static const struct conf_value *value_of(const struct conf_head *head, const char *key)
{
    for (size_t i = 0; head && i < head->nvalues; i++)
        if (!head->values[i].module && !strcmp(head->values[i].directive->name, key))
            return &head->values[i];
    return NULL;
}

/* Inner scopes leave a limit alone with an empty value. */
static void add_limit(struct explainer *e, const struct request *r, const char *key)
{
    const struct conf_head *heads[] = {r->route && r->route->conf ? &r->route->conf->head : NULL,
                                       r->site ? &r->site->head : NULL, &r->serve->limits->head};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        const struct conf_value *v = value_of(heads[i], key);
        bool counts = v && v->text.n && (v->origin.file || i == 2);
        if (!counts)
            continue;
        e->out.limits[e->out.nlimits++] = (struct explain_limit){
            .key = str_of(key), .value = v->text, .section = heads[i], .at = &v->origin};
        return;
    }
}

static void read_limits(struct explainer *e, const struct request *r)
{
    static const char *const keys[] = {"max_body", "body_timeout", "handler_timeout",
                                       "write_timeout"};
    e->out.limits = arena_alloc(&e->arena, ARRAY_LEN(keys) * sizeof *e->out.limits);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        add_limit(e, r, keys[i]);
}

/* The trace lies in the request's memory, which goes. */
static const struct trace *keep_trace(struct explainer *e, const struct trace *t)
{
    struct trace *copy = arena_alloc(&e->arena, sizeof *copy);
    trace_init(copy, &e->arena);
    for (const struct trace_step *s = t->first; s; s = s->next)
        trace_copy(copy, s);
    copy->dropped = t->dropped;
    return copy;
}

static void read_off(struct explainer *e, struct request *r)
{
    struct explanation *x = &e->out;
    struct arena *a = &e->arena;
    cs_str file = file_of(e, r);
    jump_outside(r); /* an error page has its own route */
    *x = (struct explanation){.site = r->site,
                              .route = r->route,
                              .method = arena_dup(a, r->head.method_text),
                              .host = arena_dup(a, r->host),
                              .path = arena_dup(a, r->path),
                              .query = arena_dup(a, r->head.target_query),
                              .client = arena_dup(a, request_client(r)),
                              .client_why = arena_dup(a, client_why(r)),
                              .status = r->status,
                              .open = r->open,
                              .handler = arena_dup(a, handler_of(r)),
                              .file = file};
    read_fields(e, r);
    read_limits(e, r);
    x->trace = keep_trace(e, r->trace);
}

const struct explanation *explainer_run(struct explainer *e, const struct explain_ask *ask)
{
    arena_drop(&e->arena);
    make_conn(e, ask);
    struct request *r = request_new(&e->conn);
    r->dry = true;
    if (!r->trace)
        request_trace(r);
    if (ask->user.n)
        r->user = arena_dup(&r->arena, ask->user);
    run(r, ask->head);
    read_off(e, r);
    request_end(r);
    loop_reap(&e->loop);
    return &e->out;
}
