#include "kit/settings.h"

#include "base/mem.h"
#include "kit/kit.h"
#include "module/counter.h"
#include "module/post.h"
#include "module/zone.h"
#include "os/fd.h"

#include <stdlib.h>
#include <string.h>

/* ---- The module that answers where no other does ---- */

static const cs_api *ok_api;

static int ok_handler(cs_req *r)
{
    return ok_api->reply(r, 200, "text/plain; charset=utf-8", CS_S("ok\n"));
}

static const cs_module ok_module = {
    .magic = CS_MAGIC,
    .size = sizeof(cs_module),
    .abi_major = CS_ABI_MAJOR,
    .abi_minor = CS_ABI_MINOR,
    .api = &ok_api,
    .name = KIT_OK,
    .version = "1.0",
    .help = "Answers 200.",
    .flags = CS_BODY_STREAM,
    .handler = ok_handler,
};

/* ---- Modules ---- */

/* "hello" of "../hello.so". */
static char *name_of(const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    size_t n = strlen(name);
    if (n > 3 && strcmp(name + n - 3, ".so") == 0)
        n -= 3;
    return mem_strndup(name, n);
}

static bool load_one(struct kit_settings *s, size_t i, const char *file)
{
    struct buf error = {0};
    char *name = name_of(file);
    bool good = module_copy(&s->modules[i], name, file, &error) == 0 &&
                module_load(&s->modules[i], &error) == 0;
    if (!good)
        report_error(&s->report, NULL, 1, "%s", error.p);
    s->descs[i] = good ? s->modules[i].desc : NULL;
    s->refs[i].name = good ? str_of(s->descs[i]->name) : CS_S("");
    s->refs[i].file = CS_S("");
    free(name);
    buf_free(&error);
    return good;
}

static bool load_modules(struct kit_settings *s, const struct kit_wish *wish)
{
    s->n = wish->nfiles + 1;
    s->modules = mem_alloc(s->n * sizeof *s->modules);
    for (size_t i = 0; i < s->n; i++)
        s->modules[i].fd = -1;
    s->descs = mem_alloc(s->n * sizeof *s->descs);
    s->refs = mem_alloc(s->n * sizeof *s->refs);
    for (size_t i = 0; i < wish->nfiles; i++)
        if (!load_one(s, i, wish->files[i]))
            return false;
    s->descs[s->n - 1] = &ok_module;
    s->refs[s->n - 1] = (struct conf_module_ref){.name = CS_S(KIT_OK), .file = CS_S("")};
    return true;
}

/* ---- The text ---- */

static bool has_sections(const char *text)
{
    return text && (text[0] == '[' || strstr(text, "\n["));
}

static bool has_kind(const struct conf_text *text, const char *kind)
{
    for (const struct conf_section *s = text->first; s; s = s->next)
        if (str_is(s->kind, kind))
            return true;
    return false;
}

static struct conf_text *read_text(struct kit_settings *s, const struct buf *text)
{
    return conf_read_bytes("settings", buf_str(text), &(struct conf_read_opts){.prefix = "."},
                           &s->report);
}

/* A route for everything, where the test names none. */
static void add_route(const cs_module *desc, struct buf *text)
{
    buf_add_z(text, "\n[route:test]\nmatch = /\n");
    if (desc->handler)
        buf_printf(text, "handler = %s\n", desc->name);
    else if (desc->access || desc->header_filter || desc->body_filter || desc->on_log)
        buf_printf(text, "use = %s\nhandler = " KIT_OK "\n", desc->name);
    else
        buf_add_z(text, "handler = " KIT_OK "\n");
}

/* Behind what the test has written, so that the numbers of its lines stay. */
static void complete(struct kit_settings *s, const struct kit_wish *wish, struct buf *text)
{
    size_t before = text->n;
    if (!has_kind(s->text, "route"))
        add_route(s->descs[0], text);
    if (wish->root && has_kind(s->text, "site"))
        report_error(&s->report, NULL, 1, "the settings have a [site:...]: its root is set there");
    else if (wish->root)
        buf_printf(text, "\n[site:test]\nroot = %s\n", wish->root);
    if (text->n == before || s->report.errors)
        return;
    conf_text_free(s->text);
    report_free(&s->report);
    report_init(&s->report);
    s->text = read_text(s, text);
}

static void read_settings(struct kit_settings *s, const struct kit_wish *wish)
{
    struct buf text = {0};
    if (!has_sections(wish->settings))
        buf_printf(&text, "[module:%s]\n", s->descs[0]->name);
    if (wish->settings)
        buf_add_z(&text, wish->settings);
    s->text = read_text(s, &text);
    complete(s, wish, &text);
    buf_free(&text);
}

bool kit_settings_load(struct kit_settings *s, const struct kit_wish *wish)
{
    *s = (struct kit_settings){0};
    report_init(&s->report);
    if (!load_modules(s, wish))
        return false;
    read_settings(s, wish);
    s->conf = conf_bind(s->text, s->refs, s->descs, s->n, &s->report);
    return s->report.errors == 0;
}

/* ---- What goes on from there ---- */

static bool declare(struct kit_settings *s, size_t i, struct region *r)
{
    const cs_module *desc = s->descs[i];
    struct buf error = {0};
    bool good = counter_declare(desc, r, &error) == 0 && post_declare(desc, r, &error) == 0 &&
                zone_declare(desc, true, &error) == 0;
    if (!good)
        report_error(&s->report, NULL, 1, "%s", error.p);
    buf_free(&error);
    *desc->api = kit_calls();
    return good;
}

/* No socket listens; connections say that they came by the first section. */
static void add_listener(struct serve_plan *plan, const struct conf *conf)
{
    plan->listeners = mem_alloc(sizeof *plan->listeners);
    plan->listeners[0] =
        (struct serve_listener){.conf = &conf->listens[0], .policy = CONF_POLICY_EXCLUSIVE};
    plan->nlisteners = 1;
}

bool kit_settings_plan(struct kit_settings *s, struct region *r)
{
    check(post_init(r) == 0);
    for (size_t i = 0; i < s->n; i++) {
        s->conf->modules[i].number = region_module(r, s->descs[i]->name, s->descs[i]->version);
        if (!declare(s, i, r))
            return false;
    }
    s->plan = serve_plan_new(s->conf, &s->report);
    if (!s->plan)
        return false;
    add_listener(s->plan, s->conf);
    serve_plan_check_modules(s->plan, &s->report);
    return s->report.errors == 0;
}

void kit_settings_free(struct kit_settings *s)
{
    if (s->plan) {
        serve_plan_drop_listeners(s->plan);
        serve_plan_free(s->plan);
    }
    conf_free(s->conf);
    conf_text_free(s->text);
    /* The modules stay loaded, since threads and callbacks of theirs may be left. */
    for (size_t i = 0; i + 1 < s->n; i++) {
        fd_close(&s->modules[i].fd);
        free(s->modules[i].name);
        free(s->modules[i].path);
    }
    free(s->modules);
    free(s->descs);
    free(s->refs);
    report_free(&s->report);
    *s = (struct kit_settings){0};
}

void kit_wish_free(struct kit_wish *wish)
{
    for (size_t i = 0; i < wish->nfiles; i++)
        free(wish->files[i]);
    free(wish->files);
    free(wish->settings);
    free(wish->root);
    *wish = (struct kit_wish){0};
}
