/* conf.c - the tree as others use it. */
#include "conf/conf.h"

#include "base/mem.h"
#include "conf/bind.h"
#include "conf/expand.h"

#include <stdlib.h>

void conf_free(struct conf *c)
{
    if (!c)
        return;
    arena_drop(&c->tuned);
    arena_drop(&c->arena);
    free(c);
}

const struct conf_origin *conf_origin_of(const struct conf_head *head, const char *key)
{
    for (size_t i = 0; i < head->nvalues; i++)
        if (strcmp(head->values[i].directive->name, key) == 0)
            return &head->values[i].origin;
    return &head->at;
}

static const struct conf_head *labelled_at(const struct conf *c, size_t i)
{
    if (i < c->nlistens)
        return &c->listens[i].head;
    i -= c->nlistens;
    if (i < c->nmodules)
        return &c->modules[i].head;
    i -= c->nmodules;
    if (i < c->nsites)
        return &c->sites[i].head;
    i -= c->nsites;
    return i < c->nroutes ? &c->routes[i].head : NULL;
}

#define SINGLE 4 /* kinds of sections that have no label */

size_t conf_head_count(const struct conf *c)
{
    return SINGLE + c->nlistens + c->nmodules + c->nsites + c->nroutes;
}

const struct conf_head *conf_head_at(const struct conf *c, size_t i)
{
    const struct conf_head *single[SINGLE] = {&c->server.head, &c->accept.head, &c->limits.head,
                                              &c->reload.head};

    return i < SINGLE ? single[i] : labelled_at(c, i - SINGLE);
}

/* ---- Which modules? ---- */

static const struct conf_entry *find_entry(const struct conf_section *s, const char *key)
{
    for (const struct conf_entry *e = s->first; e; e = e->next)
        if (str_is(e->key, key))
            return e;
    return NULL;
}

static bool is_kind(const struct conf_section *s, const char *kind)
{
    return !s->again && s->labelled && str_is(s->kind, kind);
}

static bool names_static(struct conf_text *t, const struct conf_entry *e)
{
    const cs_directive *d = schema_find(schema_kind(CS_S("route"))->table, CS_S("handler"));
    struct buf error = {0};
    cs_list l = {0, NULL};
    bool found = false;

    if (schema_split(value_text(&t->arena, &e, 1, d), &t->arena, &l, &error) < 0)
        l.n = 0;
    for (size_t i = 0; i < l.n; i++)
        found = found || str_is(l.v[i], "static");
    buf_free(&error);
    return found;
}

/* The place that makes static necessary; NULL: nothing does. */
static const struct conf_origin *static_at(struct conf_text *t)
{
    for (const struct conf_section *s = t->first; s; s = s->next) {
        const struct conf_entry *root = find_entry(s, "root"), *handler = find_entry(s, "handler");

        if ((is_kind(s, "site") || is_kind(s, "route")) && root && root->value.n)
            return &root->at;
        if (is_kind(s, "route") && handler && names_static(t, handler))
            return &handler->at;
    }
    return NULL;
}

static cs_str text_of(struct conf_text *t, const struct conf_section *s, const char *key)
{
    const struct conf_entry *e = s ? find_entry(s, key) : NULL;
    const struct conf_kind *kind = s ? schema_kind(s->kind) : NULL;

    struct buf plain = {0}, error = {0};
    cs_str text, where;

    if (!e || e->bad)
        return CS_S("");
    text = value_text(&t->arena, &e, 1, schema_find(kind->table, str_of(key)));
    /* What is wrong with it is told when the section is bound. */
    expand_plain(text, &plain, &where, &error);
    text = arena_dup(&t->arena, buf_str(&plain));
    buf_free(&plain);
    buf_free(&error);
    return text;
}

static cs_str modules_folder(struct conf_text *t)
{
    const struct conf_section *server = conf_text_find(t, CS_S("server"), CS_S(""));
    const cs_directive *d = schema_find(schema_kind(CS_S("server"))->table, CS_S("modules"));
    struct conf_server scratch = {.modules = CS_S("")};
    struct buf error = {0};

    if (schema_parse(d, text_of(t, server, "modules"), t->prefix, &scratch, &t->arena, &error) < 0)
        scratch.modules = CS_S("");
    buf_free(&error);
    return scratch.modules;
}

static struct conf_module_ref ref_of(struct conf_text *t, const struct conf_section *s)
{
    const struct conf_entry *file = find_entry(s, "file");

    return (struct conf_module_ref){s->label, text_of(t, s, "file"), s->at,
                                    file && !file->bad ? file->value_at : s->at};
}

size_t conf_module_refs(struct conf_text *t, struct conf_module_ref **out, cs_str *folder)
{
    const struct conf_origin *at = static_at(t);
    struct conf_module_ref *refs;
    size_t n = 0;

    for (const struct conf_section *s = t->first; s; s = s->next)
        n += is_kind(s, "module");
    refs = arena_alloc(&t->arena, (n + 1) * sizeof *refs);
    n = 0;
    for (const struct conf_section *s = t->first; s; s = s->next)
        if (is_kind(s, "module"))
            refs[n++] = ref_of(t, s);
    if (at && !conf_text_find(t, CS_S("module"), CS_S("static")))
        refs[n++] = (struct conf_module_ref){CS_S("static"), CS_S(""), *at, *at};
    *out = refs;
    *folder = modules_folder(t);
    return n;
}
