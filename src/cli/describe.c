/* describe.c - see describe.h. */
#include "cli/describe.h"

#include "base/json.h"
#include "cli/inspect.h"
#include "conf/conf.h"
#include "conf/schema.h"

#include <stdio.h>

#define EACH(d, table)                                                                             \
    (d) = (table);                                                                                 \
    (d) && (d)->name;                                                                              \
    (d)++

static const char *or_empty(const char *z)
{
    return z ? z : "";
}

static uint32_t room_of(const cs_topic_def *t)
{
    return t->max_len ? t->max_len : 4096;
}

static const char *latest_of(const cs_topic_def *t)
{
    return t->flags & CS_LATEST ? ", keeps its latest value" : "";
}

/* ---- Text ---- */

static void text_directive(const cs_directive *d, struct buf *out)
{
    buf_printf(out, "    %-20s ", d->name);
    schema_accepts(d, out);
    if (d->def && d->def[0])
        buf_printf(out, "; default %s", d->def);
    buf_printf(out, "%s%s%s\n", d->flags & CS_REQUIRED ? "; required" : "",
               d->flags & CS_PER_ROUTE ? "; also in sites and routes" : "",
               d->flags & CS_SECRET ? "; secret" : "");
    buf_printf(out, "    %-20s %s\n", "", d->help);
}

static void text_shared(const cs_module *m, struct buf *out)
{
    const cs_counter_def *c;
    const cs_zone_def *z;
    const cs_topic_def *t;

    for (EACH(c, m->counters))
        buf_printf(out, "  counter     %s_%s: %s\n", m->name, c->name, or_empty(c->help));
    for (EACH(z, m->zones))
        buf_printf(out, "  zone        %s: %zu bytes\n", z->name, z->size);
    for (EACH(t, m->topics))
        buf_printf(out, "  topic       %s: up to %u bytes, %s%s\n", t->name, room_of(t),
                   t->on_message ? "taken" : "only published", latest_of(t));
}

static void as_text(const cs_module *m, const char *path, struct buf *out)
{
    struct buf hooks = {0};

    inspect_hooks(m, &hooks);
    buf_printf(out, "%s %s", m->name, m->version);
    buf_printf(out, m->help && m->help[0] ? "  %s\n" : "\n", m->help);
    buf_printf(out, "  file        %s\n", path);
    buf_printf(out, "  module ABI  %u.%u\n", m->abi_major, m->abi_minor);
    buf_printf(out, "  hooks       %s\n", hooks.n ? hooks.p : "none");
    if (m->directives && m->directives->type != CS_T_END)
        buf_printf(out, "  settings    in [module:%s]\n", m->name);
    for (const cs_directive *d = m->directives; d && d->type != CS_T_END; d++)
        text_directive(d, out);
    text_shared(m, out);
    buf_free(&hooks);
}

/* ---- Markdown ---- */

static void as_md(const cs_module *m, struct buf *out)
{
    struct buf hooks = {0};
    const cs_counter_def *c;
    const cs_zone_def *z;
    const cs_topic_def *t;

    inspect_hooks(m, &hooks);
    conf_reference_module(m, out);
    buf_printf(out, "\nVersion %s, module ABI %u.%u. Hooks: %s.\n", m->version, m->abi_major,
               m->abi_minor, hooks.n ? hooks.p : "none");
    if ((m->counters && m->counters->name) || (m->zones && m->zones->name) ||
        (m->topics && m->topics->name))
        buf_add_z(out, "\n| shared | name | |\n|---|---|---|\n");
    for (EACH(c, m->counters))
        buf_printf(out, "| counter | `%s_%s` | %s |\n", m->name, c->name, or_empty(c->help));
    for (EACH(z, m->zones))
        buf_printf(out, "| zone | `%s` | %zu bytes |\n", z->name, z->size);
    for (EACH(t, m->topics))
        buf_printf(out, "| topic | `%s` | up to %u bytes, %s%s |\n", t->name, room_of(t),
                   t->on_message ? "taken" : "only published", latest_of(t));
    buf_free(&hooks);
}

/* ---- JSON ---- */

static void json_directive(struct json *j, const cs_directive *d)
{
    struct buf takes = {0};

    schema_accepts(d, &takes);
    json_object(j, NULL);
    json_z(j, "name", d->name);
    json_str(j, "takes", buf_str(&takes));
    json_z(j, "default", d->def);
    json_bool(j, "required", d->flags & CS_REQUIRED);
    json_bool(j, "route", d->flags & CS_PER_ROUTE);
    json_bool(j, "secret", d->flags & CS_SECRET);
    json_z(j, "help", d->help);
    json_end_object(j);
    buf_free(&takes);
}

static void json_shared(struct json *j, const cs_module *m)
{
    const cs_counter_def *c;
    const cs_zone_def *z;
    const cs_topic_def *t;

    json_array(j, "counters");
    for (EACH(c, m->counters)) {
        json_object(j, NULL);
        json_z(j, "name", c->name);
        json_z(j, "help", or_empty(c->help));
        json_end_object(j);
    }
    json_end_array(j);
    json_array(j, "zones");
    for (EACH(z, m->zones)) {
        json_object(j, NULL);
        json_z(j, "name", z->name);
        json_int(j, "size", (int64_t)z->size);
        json_end_object(j);
    }
    json_end_array(j);
    json_array(j, "topics");
    for (EACH(t, m->topics)) {
        json_object(j, NULL);
        json_z(j, "name", t->name);
        json_int(j, "max_len", room_of(t));
        json_bool(j, "taken", t->on_message != NULL);
        json_bool(j, "latest", t->flags & CS_LATEST);
        json_end_object(j);
    }
    json_end_array(j);
}

static void as_json(const cs_module *m, const char *path, struct buf *out)
{
    struct buf hooks = {0};
    cs_str rest, hook;
    struct json j;

    inspect_hooks(m, &hooks);
    rest = buf_str(&hooks);
    json_init(&j, out);
    json_object(&j, NULL);
    json_z(&j, "name", m->name);
    json_z(&j, "version", m->version);
    json_z(&j, "help", or_empty(m->help));
    json_z(&j, "file", path);
    json_int(&j, "abi_major", m->abi_major);
    json_int(&j, "abi_minor", m->abi_minor);
    json_array(&j, "hooks");
    while (str_split(&rest, ',', &hook))
        json_str(&j, NULL, str_trim(hook));
    json_end_array(&j);
    json_array(&j, "settings");
    for (const cs_directive *d = m->directives; d && d->type != CS_T_END; d++)
        json_directive(&j, d);
    json_end_array(&j);
    json_shared(&j, m);
    json_end_object(&j);
    buf_add_char(out, '\n');
    buf_free(&hooks);
}

void describe_module(const cs_module *d, const char *path, enum describe_as as, struct buf *out)
{
    if (as == DESCRIBE_JSON)
        as_json(d, path, out);
    else if (as == DESCRIBE_MD)
        as_md(d, out);
    else
        as_text(d, path, out);
}
