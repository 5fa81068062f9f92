/* text.c - everything lies in the text's arena and is never changed once the reader is done. */
#include "conf/text.h"

#include "base/mem.h"
#include "conf/expand.h"
#include "conf/quote.h"

#include <stdlib.h>
#include <unistd.h>

/* Absolute form of a folder that may not exist: as far as it exists links are followed, else the
 * text is taken. */
static char *absolute(const char *folder)
{
    char *real = realpath(folder, NULL), *cwd, *joined;

    if (real)
        return real;
    if (folder[0] == '/')
        return mem_strdup(folder);
    cwd = getcwd(NULL, 0);
    joined = mem_printf("%s/%s", cwd ? cwd : "", folder);
    free(cwd);
    return joined;
}

static char *parent(const char *folder)
{
    const char *slash = strrchr(folder, '/');

    return slash > folder ? mem_strndup(folder, (size_t)(slash - folder)) : mem_strdup("/");
}

static bool ends_with(const char *z, const char *tail)
{
    size_t n = strlen(z), m = strlen(tail);

    return n >= m && memcmp(z + n - m, tail, m) == 0;
}

char *conf_prefix_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = !slash          ? mem_strdup(".")
                 : slash == path ? mem_strdup("/")
                                 : mem_strndup(path, (size_t)(slash - path));
    char *folder = absolute(name);
    int up = ends_with(folder, "/etc/cserver") ? 2 : ends_with(folder, "/conf") ? 1 : 0;

    free(name);
    while (up-- > 0) {
        char *above = parent(folder);

        free(folder);
        folder = above;
    }
    return folder;
}

struct conf_text *text_new(const char *path, const char *prefix)
{
    struct conf_text *t = mem_alloc(sizeof *t);

    arena_init(&t->arena, NULL);
    t->last = &t->first;
    t->path = mem_strdup(path);
    t->prefix = prefix ? absolute(prefix) : conf_prefix_of(path);
    return t;
}

void conf_text_free(struct conf_text *t)
{
    if (!t)
        return;
    arena_drop(&t->arena);
    free(t->path);
    free(t->prefix);
    free(t);
}

static size_t bucket_of(cs_str kind, cs_str label)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < kind.n; i++)
        hash = (hash ^ (unsigned char)kind.p[i]) * 16777619u;
    for (size_t i = 0; i < label.n; i++)
        hash = (hash ^ (unsigned char)label.p[i]) * 16777619u;
    return hash % CONF_BUCKETS;
}

struct conf_section *conf_text_find(const struct conf_text *t, cs_str kind, cs_str label)
{
    for (struct conf_section *s = t->bucket[bucket_of(kind, label)]; s; s = s->next_in_bucket)
        if (!s->again && str_eq(s->label, label) && str_eq(s->kind, kind))
            return s;
    return NULL;
}

struct conf_section *text_add_section(struct conf_text *t, cs_str kind, cs_str label, bool labelled,
                                      const struct conf_origin *at)
{
    struct conf_section *s = arena_zalloc(&t->arena, sizeof *s);

    s->kind = arena_dup(&t->arena, kind);
    s->label = arena_dup(&t->arena, label);
    s->labelled = labelled;
    s->at = *at;
    s->last = &s->first;
    *t->last = s;
    t->last = &s->next;
    s->next_in_bucket = t->bucket[bucket_of(kind, label)];
    t->bucket[bucket_of(kind, label)] = s;
    return s;
}

struct conf_entry *text_add_entry(struct conf_text *t, struct conf_section *s, cs_str key,
                                  const struct conf_origin *at)
{
    struct conf_entry *e = arena_zalloc(&t->arena, sizeof *e);

    e->key = arena_dup(&t->arena, key);
    e->value = CS_S("");
    e->at = *at;
    e->value_at = *at;
    e->last_piece = &e->pieces;
    *s->last = e;
    s->last = &e->next;
    s->nentries++;
    return e;
}

static void append(struct conf_text *t, struct conf_entry *e, cs_str text, bool quoted, bool env,
                   const struct conf_origin *at)
{
    struct conf_piece *p = arena_zalloc(&t->arena, sizeof *p);

    p->text = arena_dup(&t->arena, text);
    p->quoted = quoted;
    p->env = env;
    p->at = *at;
    if (env)
        p->at.what = "environment";
    if (!e->pieces) {
        e->quoted = quoted;
        e->value_at = p->at;
    }
    *e->last_piece = p;
    e->last_piece = &p->next;
    e->value.n += text.n + 1;
}

void text_add_piece(struct conf_text *t, struct conf_entry *e, cs_str raw, bool quoted,
                    const struct conf_origin *at, struct report *rep)
{
    struct buf plain = {0}, full = {0}, error = {0};
    bool env = false;
    cs_str where = {NULL, 0};

    if (quoted)
        quote_undo(raw, &plain);
    else
        buf_add_str(&plain, raw);
    if (expand_value(buf_str(&plain), &full, &env, &where, &error) < 0) {
        struct conf_origin point = report_point(at, where);

        report_error(rep, &point, (int)where.n, "%s", error.p);
        e->bad = true;
    } else if (!e->bad && e->value.n + full.n > TEXT_VALUE_MAX) {
        report_error(rep, at, 1, "the value of \"%s\" is longer than %d bytes", e->key.p,
                     TEXT_VALUE_MAX);
        e->bad = true;
    }
    if (!e->bad)
        append(t, e, buf_str(&full), quoted, env, at);
    buf_free(&plain);
    buf_free(&full);
    buf_free(&error);
}

void text_close_entry(struct conf_text *t, struct conf_entry *e)
{
    struct buf all = {0};

    for (const struct conf_piece *p = e->pieces; p; p = p->next) {
        if (p != e->pieces)
            buf_add_char(&all, '\n');
        buf_add_str(&all, p->text);
    }
    e->value = arena_dup(&t->arena, buf_str(&all));
    buf_free(&all);
}
