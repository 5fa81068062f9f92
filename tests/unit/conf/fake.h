/* fake.h - settings from a string, with modules that exist only here: what the tests of conf_bind
 * start from. */
#ifndef FAKE_H
#define FAKE_H

#include "base/check.h"
#include "conf/conf.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline int fake_handler(cs_req *r)
{
    (void)r;
    return CS_DECLINED;
}

/* hello: one key for every route, two for the server. */
struct hello {
    cs_str greeting, password;
    int64_t repeat;
};
static const cs_directive hello_keys[] = {
    CS_STRING(struct hello, greeting, "Hello", 1, 200, CS_PER_ROUTE, "What it says."),
    CS_INT(struct hello, repeat, "1", 1, 10, 0, "How often."),
    CS_STRING(struct hello, password, "pst", 0, 100, CS_SECRET, "Secret."), CS_END};

/* static and files share the name of a key. */
struct files {
    cs_list index;
    cs_str cache_control;
    int64_t max_age;
};
static const cs_directive files_keys[] = {
    CS_LIST(struct files, index, "index.html", 0, 8, CS_PER_ROUTE, "Index files."),
    CS_STRING(struct files, cache_control, NULL, 0, 300, CS_PER_ROUTE, "Header."),
    CS_MSEC(struct files, max_age, "90s", 0, 3600000, CS_PER_ROUTE, "Age."), CS_END};

/* proxy cannot work without two keys, one of them for the whole server. */
struct proxy {
    cs_str target, token;
};
static const cs_directive proxy_keys[] = {
    CS_STRING(struct proxy, target, NULL, 1, 200, CS_REQUIRED | CS_PER_ROUTE, "Where to."),
    CS_STRING(struct proxy, token, NULL, 1, 200, CS_REQUIRED, "For whom."), CS_END};

/* tag answers no requests. */
struct tag {
    cs_list tags;
};
static const cs_directive tag_keys[] = {
    CS_LIST(struct tag, tags, NULL, 0, 0, CS_PER_ROUTE, "Tags."), CS_END};

static inline void fake_log(cs_req *r)
{
    (void)r;
}

/* auth and stamp take part where they are in use; both need or have keys of the route. */
struct auth {
    cs_str realm;
};
static const cs_directive auth_keys[] = {
    CS_STRING(struct auth, realm, NULL, 1, 100, CS_REQUIRED | CS_PER_ROUTE, "Whose door."), CS_END};
struct stamp {
    cs_str ink;
};
static const cs_directive stamp_keys[] = {
    CS_STRING(struct stamp, ink, "blue", 1, 100, CS_PER_ROUTE, "Colour."), CS_END};

/* view: texts with variables, and lists that add up from scope to scope. */
struct view {
    const cs_template *text;
    cs_templates fields;
    const cs_blocks *from;
    cs_list words;
};
static const cs_directive view_keys[] = {
    CS_TEMPLATE(struct view, text, "Hello ${host}", 0, 200, CS_PER_ROUTE, "Text."),
    CS_TEMPLATES(struct view, fields, NULL, 0, 4, CS_PER_ROUTE | CS_ADDS, "Fields."),
    CS_BLOCKS(struct view, from, NULL, 0, 8, CS_PER_ROUTE | CS_ADDS, "Clients."),
    CS_LIST(struct view, words, NULL, 0, 8, CS_PER_ROUTE | CS_ADDS, "Words."), CS_END};

/* door: one of two keys is enough. */
struct door {
    cs_str key, code, colour;
};
static const cs_directive door_keys[] = {
    CS_STRING(struct door, colour, "red", 1, 100, CS_PER_ROUTE, "Colour."),
    CS_STRING(struct door, key, NULL, 1, 100, CS_REQUIRED | CS_ONE_OF | CS_PER_ROUTE, "Key."),
    CS_STRING(struct door, code, NULL, 1, 8, CS_REQUIRED | CS_ONE_OF | CS_PER_ROUTE, "Code."),
    CS_END};

static const cs_module fakes[] = {
    {.name = "hello",
     .directives = hello_keys,
     .conf_size = sizeof(struct hello),
     .handler = fake_handler},
    {.name = "static",
     .directives = files_keys,
     .conf_size = sizeof(struct files),
     .handler = fake_handler},
    {.name = "files",
     .directives = files_keys,
     .conf_size = sizeof(struct files),
     .handler = fake_handler},
    {.name = "proxy",
     .directives = proxy_keys,
     .conf_size = sizeof(struct proxy),
     .handler = fake_handler},
    {.name = "tag", .directives = tag_keys, .conf_size = sizeof(struct tag)},
    {.name = "bare", .handler = fake_handler},
    {.name = "auth",
     .directives = auth_keys,
     .conf_size = sizeof(struct auth),
     .access = fake_handler},
    {.name = "door",
     .directives = door_keys,
     .conf_size = sizeof(struct door),
     .access = fake_handler},
    {.name = "stamp",
     .directives = stamp_keys,
     .conf_size = sizeof(struct stamp),
     .header_filter = fake_handler},
    {.name = "view",
     .directives = view_keys,
     .conf_size = sizeof(struct view),
     .handler = fake_handler},
    {.name = "both", .handler = fake_handler, .on_log = fake_log},
};

struct fake {
    struct report rep;
    struct conf_text *text;
    struct conf *conf;
};

/* A module that is none of the above counts as one that could not be loaded. */
static inline void fake_bind(struct fake *f)
{
    const cs_module *desc[16] = {NULL};
    struct conf_module_ref *refs;
    cs_str folder;
    size_t n = conf_module_refs(f->text, &refs, &folder);

    assert_true(n <= ARRAY_LEN(desc));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < ARRAY_LEN(fakes); k++)
            if (str_is(refs[i].name, fakes[k].name))
                desc[i] = &fakes[k];
    f->conf = conf_bind(f->text, refs, desc, n, &f->rep);
}

static inline void fake_read(struct fake *f, const char *text,
                             const struct conf_override *overrides, size_t n)
{
    struct conf_read_opts opts = {.prefix = "/p", .overrides = overrides, .noverrides = n};

    report_init(&f->rep);
    f->text = conf_read_bytes("t.ini", str_of(text), &opts, &f->rep);
    fake_bind(f);
}

static inline void fake_free(struct fake *f)
{
    conf_free(f->conf);
    conf_text_free(f->text);
    report_free(&f->rep);
}

/* The report as text, in a buffer that lives until the next call. */
static inline const char *fake_report(const struct fake *f)
{
    static struct buf out;

    buf_free(&out);
    report_print(&f->rep, &out);
    return out.p ? out.p : "";
}

#endif
