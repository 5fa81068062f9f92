/* settings.c - see settings.h. */
#include "proc/settings.h"

#include "base/check.h"
#include "base/mem.h"
#include "conf/schema.h"
#include "module/counter.h"
#include "module/post.h"
#include "module/zone.h"
#include "os/child.h"
#include "os/fd.h"
#include "proc/user.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(struct settings_crumb *crumb, const char *doing, const char *name)
{
    char what[256];

    if (!crumb)
        return;
    snprintf(what, sizeof what, "%s%s", doing, name);
    crumb->drop(crumb, what);
}

/* Where the settings say which file it is. */
static void blame_file(struct settings *s, const struct conf_module_ref *ref, const struct buf *why)
{
    cs_str marked = ref->file.n ? ref->file : ref->name;

    report_error(&s->report, &ref->file_at, (int)marked.n, "%.*s", (int)why->n, why->p);
}

static void copy_module(struct settings *s, size_t i, const char *folder)
{
    const struct conf_module_ref *ref = &s->refs[i];
    char *name = mem_strndup(ref->name.p, ref->name.n);
    char *path = module_path(name, ref->file, folder, s->text->prefix);
    struct buf error = {0};

    if (module_copy(&s->modules[i], name, path, &error) < 0) {
        s->modules[i].fd = -1;
        blame_file(s, ref, &error);
    }
    buf_free(&error);
    free(path);
    free(name);
}

static void copy_modules(struct settings *s)
{
    cs_str named;
    char *folder;

    s->nmodules = conf_module_refs(s->text, &s->refs, &named);
    s->modules = mem_alloc((s->nmodules + 1) * sizeof *s->modules);
    s->descs = mem_alloc((s->nmodules + 1) * sizeof *s->descs);
    folder = named.n ? mem_strndup(named.p, named.n) : module_default_folder();
    for (size_t i = 0; i < s->nmodules; i++)
        copy_module(s, i, folder);
    free(folder);
}

struct settings *settings_read(const struct settings_source *src)
{
    struct settings *s = mem_alloc(sizeof *s);
    char *prefix = src->prefix ? mem_strdup(src->prefix) : conf_prefix_of(src->path);
    struct conf_read_opts opts = {.prefix = prefix,
                                  .overrides = src->overrides,
                                  .noverrides = src->noverrides,
                                  .again = src->again};

    report_init(&s->report);
    s->text = src->text.p ? conf_read_bytes(src->path, src->text, &opts, &s->report)
                          : conf_read(src->path, &opts, &s->report);
    if (s->text)
        copy_modules(s);
    free(prefix);
    return s;
}

static void load_modules(struct settings *s, struct settings_crumb *crumb)
{
    struct buf error = {0};

    for (size_t i = 0; i < s->nmodules; i++) {
        const struct conf_module_ref *ref = &s->refs[i];

        if (s->modules[i].fd < 0)
            continue;
        say(crumb, "loading the module ", s->modules[i].name);
        buf_clear(&error);
        if (module_load(&s->modules[i], &error) == 0)
            s->descs[i] = s->modules[i].desc;
        else
            blame_file(s, ref, &error);
    }
    buf_free(&error);
}

static void number_modules(struct settings *s, struct region *r)
{
    for (size_t i = 0; i < s->conf->nmodules; i++) {
        struct conf_module *m = &s->conf->modules[i];

        m->number = m->desc ? region_module(r, m->desc->name, m->desc->version) : 0;
        if (m->desc && !m->number)
            report_warning(&s->report, &m->head.at, 1,
                           "this server has seen all the modules that it can keep apart (%d): "
                           "crashes of \"%s\" are not counted as its own; a restart makes room",
                           IPC_MODULES - 1, m->desc->name);
    }
}

static void attach_modules(struct settings *s, struct region *r, bool loud)
{
    const cs_api *api = s->conf->server.module_debug ? serve_api_debug() : serve_api();
    struct buf error = {0};

    check(post_init(r) == 0); /* the first of all topics */
    number_modules(s, r);
    for (size_t i = 0; i < s->nmodules; i++) {
        buf_clear(&error);
        if (counter_declare(s->descs[i], r, &error) < 0 ||
            post_declare(s->descs[i], r, &error) < 0 || zone_declare(s->descs[i], loud, &error) < 0)
            report_error(&s->report, &s->refs[i].at, (int)s->refs[i].name.n, "%.*s", (int)error.n,
                         error.p);
        module_attach(&s->modules[i], api);
    }
    buf_free(&error);
}

static const struct conf_value *server_value(const struct settings *s, const char *key)
{
    const struct conf_head *head = &s->conf->server.head;

    for (size_t i = 0; i < head->nvalues; i++)
        if (strcmp(head->values[i].directive->name, key) == 0)
            return &head->values[i];
    return NULL;
}

const struct conf_origin *settings_origin(const struct settings *s, const char *key)
{
    const struct conf_value *v = server_value(s, key);

    return v && (v->origin.file || v->origin.text) ? &v->origin : NULL;
}

static void count_workers(struct settings *s)
{
    const struct conf_server *c = &s->conf->server;
    unsigned cpus = (unsigned)child_cpu_count();
    unsigned most = 4 * cpus > 16 ? 4 * cpus : 16;
    const struct conf_value *v = server_value(s, "workers");

    s->workers = c->workers > 0 ? (unsigned)c->workers : cpus;
    s->max_workers = c->max_workers > 0 ? (unsigned)c->max_workers : most;
    if (c->workers == 0 && s->workers > s->max_workers)
        s->workers = s->max_workers;
    if (c->max_workers == 0 && s->workers > s->max_workers)
        s->max_workers = s->workers;
    if (s->workers > s->max_workers)
        report_error(&s->report, settings_origin(s, "workers"), v ? (int)v->text.n : 1,
                     "workers = %u is more than max_workers = %u; lower it or raise max_workers",
                     s->workers, s->max_workers);
}

static bool serves_something(const struct conf *c)
{
    for (size_t i = 0; i < c->nsites; i++)
        if (c->sites[i].root.n)
            return true;
    return c->nroutes > 0;
}

/* A file that a full disk or a broken copy has cut off is well-formed up to there. */
static void look_for_content(struct settings *s)
{
    if (!s->text->first && !s->report.errors)
        report_error(&s->report, NULL, 1,
                     "there is nothing in %s, not one section: has it been cut off?",
                     s->text->path);
    else if (!s->report.errors && !serves_something(s->conf))
        report_warning(&s->report, NULL, 1,
                       "there is no route, and no site with a root: every request is answered with "
                       "404. Has %s been cut off?",
                       s->text->path);
}

bool settings_bind(struct settings *s, struct settings_crumb *crumb)
{
    if (!s->text)
        return false;
    load_modules(s, crumb);
    say(crumb, "checking the settings", "");
    s->conf = conf_bind(s->text, s->refs, s->descs, s->nmodules, &s->report);
    look_for_content(s);
    user_find(s);
    count_workers(s);
    s->bound = s->report.errors == 0;
    if (!s->bound) {
        serve_plan_survey(s->conf, &s->report);
        report_sort(&s->report);
    }
    return s->bound;
}

/* May the workers' user enter the folder and read it? Groups beside its own are not looked at: a warning is all that comes of
 * it. */
static bool may_enter(const struct settings_user *u, int dir)
{
    struct stat st;
    mode_t need;

    if (!u->drop || fstat(dir, &st) != 0)
        return true;
    need = st.st_uid == u->uid   ? S_IRUSR | S_IXUSR
           : st.st_gid == u->gid ? S_IRGRP | S_IXGRP
                                 : S_IROTH | S_IXOTH;
    return (st.st_mode & need) == need;
}

static void check_roots(struct settings *s)
{
    for (size_t i = 0; i < s->plan->nroots; i++)
        if (!may_enter(&s->user, s->plan->roots[i].fd))
            report_warning(&s->report, NULL, 1,
                           "the workers run as %s, who may not enter the root %s: its files will "
                           "be 403; allow it "
                           "(chmod o+rx) or set `user` in [server]",
                           s->user.name, s->plan->roots[i].path);
}

bool settings_plan(struct settings *s, struct region *r, struct settings_crumb *crumb)
{
    check(s->bound);
    attach_modules(s, r,
                   !crumb); /* what the probe would say the master says, if it comes to that */
    say(crumb, "compiling the routes", "");
    s->plan = serve_plan_new(s->conf, &s->report);
    if (s->plan)
        check_roots(s);
    return s->plan && s->report.errors == 0;
}

void settings_free(struct settings *s, struct settings_crumb *crumb)
{
    if (!s)
        return;
    if (s->plan) {
        serve_plan_drop_listeners(s->plan);
        serve_plan_free(s->plan);
    }
    if (s->conf)
        conf_free(s->conf);
    for (size_t i = 0; i < s->nmodules; i++) {
        if (s->modules[i].name)
            say(crumb, "unloading the module ", s->modules[i].name);
        module_free(&s->modules[i]);
    }
    free(s->modules);
    free(s->descs);
    if (s->text)
        conf_text_free(s->text);
    report_free(&s->report);
    free(s);
}

void settings_shed(struct settings *s)
{
    for (size_t i = 0; s->plan && i < s->plan->nroots; i++)
        fd_close(&s->plan->roots[i].fd);
    for (size_t i = 0; i < s->nmodules; i++)
        fd_close(&s->modules[i].fd);
}

static cs_str written(const struct conf_text *text, const cs_directive *d)
{
    struct conf_section *s = text ? conf_text_find(text, CS_S("server"), CS_S("")) : NULL;

    for (const struct conf_entry *e = s ? s->first : NULL; e; e = e->next)
        if (str_is(e->key, d->name) && !e->bad)
            return e->value;
    return str_of(d->def);
}

char *settings_server_path(const struct conf_text *text, const char *prefix, const char *key)
{
    const cs_directive *d = schema_find(schema_kind(CS_S("server"))->table, str_of(key));
    struct conf_server out = {0};
    struct arena arena;
    struct buf error = {0};
    char *path = NULL;

    check(d && d->type == CS_T_PATH);
    arena_init(&arena, NULL);
    if (schema_parse(d, written(text, d), prefix, &out, &arena, &error) == 0) {
        const cs_str *value = (const void *)((const char *)&out + d->off);

        path = mem_strdup(value->p);
    }
    arena_drop(&arena);
    buf_free(&error);
    return path;
}
