/* descriptor.c - the descriptor is read from its first words on, each of which says whether the next ones can be trusted.
 * Every refusal names the file, what differs, and what to do. */
#include "module/descriptor.h"

#include "base/mem.h"
#include "conf/conf.h"
#include "ipc/layout.h"
#include "os/dl.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define OTHER_MAJORS 10 /* looked for, to say which one a module was built for */
#define NAME_MAX_LEN 31
#define MOST_ZONES   64
#define MOST_ZONE    ((size_t)1 << 40) /* bytes: beyond this it is a mistake */
#define SIZE_OF_1_0  (offsetof(cs_module, on_adopt) + sizeof(((cs_module *)NULL)->on_adopt))

static int other_major(const struct module *m, unsigned major, struct buf *error)
{
    return module_refuse(m, error,
                         "built for module ABI %u, this cserver has ABI %d: rebuild it with this "
                         "cserver's cserver.h",
                         major, CS_ABI_MAJOR);
}

static void *descriptor_of(const struct module *m, unsigned major)
{
    char symbol[32];
    snprintf(symbol, sizeof(symbol), "cserver_module_%u", major);
    return dl_symbol(m->handle, symbol);
}

static int find_descriptor(struct module *m, struct buf *error)
{
    m->desc = descriptor_of(m, CS_ABI_MAJOR);
    if (m->desc)
        return 0;
    for (unsigned major = 0; major < OTHER_MAJORS; major++)
        if (descriptor_of(m, major))
            return other_major(m, major, error);
    return module_refuse(
        m, error,
        "not a cserver module: it has no symbol cserver_module_%d, which CS_MODULE of "
        "cserver.h makes",
        CS_ABI_MAJOR);
}

/* Reads no member before it is known to be there. */
static int check_version(const struct module *m, struct buf *error)
{
    const cs_module *d = m->desc;
    if (d->magic != CS_MAGIC) {
        return module_refuse(
            m, error,
            "its cserver_module_%d is no module descriptor (magic %#x instead of %#x): "
            "let CS_MODULE of "
            "cserver.h write it",
            CS_ABI_MAJOR, d->magic, CS_MAGIC);
    }
    if (d->size >= offsetof(cs_module, flags) && d->abi_major != CS_ABI_MAJOR)
        return other_major(m, d->abi_major, error);
    if (d->size >= offsetof(cs_module, flags) && d->abi_minor > CS_ABI_MINOR) {
        return module_refuse(
            m, error,
            "needs module ABI %u.%u, this cserver has %d.%d: upgrade cserver or rebuild "
            "the module with "
            "the older header",
            d->abi_major, d->abi_minor, CS_ABI_MAJOR, CS_ABI_MINOR);
    }
    if (d->size < SIZE_OF_1_0 || d->size > sizeof(*d)) {
        return module_refuse(
            m, error,
            "its descriptor has %u bytes, module ABI %d.%d has %zu: rebuild it with this cserver's "
            "cserver.h",
            d->size, CS_ABI_MAJOR, CS_ABI_MINOR, sizeof(*d));
    }
    return 0;
}

static bool is_name(const char *z)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    size_t n = strspn(z, allowed);
    return n > 0 && z[n] == '\0' && z[0] >= 'a' && z[0] <= 'z';
}

bool descriptor_name_is_taken(const char *name)
{
    return strncmp(name, "cserver", 7) == 0 && (name[7] == '\0' || name[7] == '_');
}

static int check_names(struct module *m, struct buf *error)
{
    const cs_module *d = m->desc;
    if (!d->api)
        return module_refuse(m, error,
                             "its descriptor has no .api: let CS_MODULE of cserver.h write it");
    if (!d->name || !is_name(d->name) || strlen(d->name) > NAME_MAX_LEN) {
        return module_refuse(
            m, error,
            "its .name is \"%.64s\": a module's name is a letter and up to %d of a-z, "
            "0-9 and \"_\"",
            d->name ? d->name : "", NAME_MAX_LEN - 1);
    }
    if (descriptor_name_is_taken(d->name)) {
        return module_refuse(
            m, error,
            "its .name is \"%s\": \"cserver\" and what begins with \"cserver_\" are names of the "
            "server's own; take another",
            d->name);
    }
    if (!m->name)
        m->name = mem_strdup(d->name);
    if (strcmp(d->name, m->name) != 0) {
        return module_refuse(m, error,
                             "this is the module \"%s\", not \"%s\": name the section [module:%s]",
                             d->name, m->name, d->name);
    }
    if (!d->version || !d->version[0])
        return module_refuse(m, error, "it has no .version: give it one, such as \"1.0\"");
    return 0;
}

static int check_counter(const struct module *m, const cs_counter_def *c, struct buf *error)
{
    if (!c->name || !is_name(c->name)) {
        return module_refuse(m, error,
                             "a counter is named \"%.64s\": a letter, then a-z, 0-9 and \"_\"",
                             c->name ? c->name : "");
    }
    if (strlen(m->name) + 1 + strlen(c->name) >= IPC_COUNTER_NAME) {
        return module_refuse(m, error,
                             "the name of the counter \"%s\" is too long: at most %zu bytes",
                             c->name, IPC_COUNTER_NAME - 2 - strlen(m->name));
    }
    if (!c->ref) {
        return module_refuse(
            m, error,
            "the counter \"%s\" has no cs_counter pointer: write { &pointer, name, help }",
            c->name);
    }
    for (const cs_counter_def *other = m->desc->counters; other < c; other++)
        if (strcmp(other->name, c->name) == 0)
            return module_refuse(m, error, "the counter \"%s\" is declared twice", c->name);
    return 0;
}

static int check_counters(const struct module *m, struct buf *error)
{
    const cs_counter_def *first = m->desc->counters;
    for (const cs_counter_def *c = first; c && (c->name || c->ref); c++) {
        if (c - first >= IPC_MODULE_COUNTERS) {
            return module_refuse(
                m, error, "it declares more than %d counters, or the table does not end with {0}",
                IPC_MODULE_COUNTERS);
        }
        if (check_counter(m, c, error) < 0)
            return -1;
    }
    return 0;
}

/* As ipc/topic.h has room for it. */
static bool is_topic_name(const char *z)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t n = strspn(z, allowed);
    return n > 0 && z[n] == '\0' && n < IPC_TOPIC_NAME &&
           ((z[0] >= 'a' && z[0] <= 'z') || (z[0] >= 'A' && z[0] <= 'Z'));
}

static int check_topic_size(const struct module *m, const cs_topic_def *t, struct buf *error)
{
    if (t->max_len > IPC_MAIL_MAX)
        return module_refuse(
            m, error,
            "the topic \"%s\" has max_len %u: at most %d bytes; put larger data into a zone "
            "or a file and send its name",
            t->name, t->max_len, IPC_MAIL_MAX);
    if (t->flags & CS_LATEST && t->max_len > IPC_LATEST_MAX)
        return module_refuse(
            m, error,
            "the topic \"%s\" keeps its latest value and has max_len %u: at most %d bytes", t->name,
            t->max_len, IPC_LATEST_MAX);
    if (t->flags & ~(uint32_t)CS_LATEST)
        return module_refuse(m, error,
                             "the topic \"%s\" has unknown flags %#x: CS_LATEST is the only one",
                             t->name, t->flags);
    return 0;
}

static int check_topic(const struct module *m, const cs_topic_def *t, struct buf *error)
{
    if (!t->name || !is_topic_name(t->name))
        return module_refuse(
            m, error,
            "a topic is named \"%.64s\": a letter, then up to %d letters, digits, \"_\", \".\" "
            "and \"-\"",
            t->name ? t->name : "", IPC_TOPIC_NAME - 2);
    if (strncmp(t->name, "cserver.", 8) == 0)
        return module_refuse(
            m, error, "the topic \"%s\" has a name of the server's own: take another", t->name);
    if (!t->ref)
        return module_refuse(
            m, error,
            "the topic \"%s\" has no cs_topic pointer: write { &pointer, name, on_message, ... }",
            t->name);
    for (const cs_topic_def *other = m->desc->topics; other < t; other++)
        if (strcmp(other->name, t->name) == 0)
            return module_refuse(m, error, "the topic \"%s\" is declared twice", t->name);
    return check_topic_size(m, t, error);
}

static int check_topics(const struct module *m, struct buf *error)
{
    const cs_topic_def *first = m->desc->topics;
    for (const cs_topic_def *t = first; t && (t->name || t->ref); t++) {
        if (t - first >= IPC_TOPICS)
            return module_refuse(
                m, error, "it declares more than %d topics, or the table does not end with {0}",
                IPC_TOPICS);
        if (check_topic(m, t, error) < 0)
            return -1;
    }
    return 0;
}

static int check_zone(const struct module *m, const cs_zone_def *z, struct buf *error)
{
    if (!z->name || !is_name(z->name) || strlen(z->name) > NAME_MAX_LEN)
        return module_refuse(
            m, error, "a zone is named \"%.64s\": a letter, then up to %d of a-z, 0-9 and \"_\"",
            z->name ? z->name : "", NAME_MAX_LEN - 1);
    if (!z->ref)
        return module_refuse(
            m, error, "the zone \"%s\" has no cs_zone pointer: write { &pointer, name, size, ... }",
            z->name);
    if (z->size == 0)
        return module_refuse(m, error, "the zone \"%s\" has no size", z->name);
    if (z->size > MOST_ZONE)
        return module_refuse(m, error, "the zone \"%s\" has %zu bytes: at most %zu", z->name,
                             z->size, MOST_ZONE);
    for (const cs_zone_def *other = m->desc->zones; other < z; other++)
        if (strcmp(other->name, z->name) == 0)
            return module_refuse(m, error, "the zone \"%s\" is declared twice", z->name);
    return 0;
}

static int check_zones(const struct module *m, struct buf *error)
{
    const cs_zone_def *first = m->desc->zones;
    for (const cs_zone_def *z = first; z && (z->name || z->ref); z++) {
        if (z - first >= MOST_ZONES)
            return module_refuse(
                m, error, "it declares more than %d zones, or the table does not end with {0}",
                MOST_ZONES);
        if (check_zone(m, z, error) < 0)
            return -1;
    }
    return 0;
}

static int check_tables(const struct module *m, struct buf *error)
{
    const cs_module *d = m->desc;
    struct buf why = {0};
    int rc = 0;
    if (d->directives && conf_table_check(d->directives, d->conf_size, &why) < 0)
        rc = module_refuse(m, error, "%.*s", CS_F(buf_str(&why)));
    buf_free(&why);
    if (rc < 0 || check_counters(m, error) < 0 || check_topics(m, error) < 0)
        return -1;
    return check_zones(m, error);
}

int descriptor_take(struct module *m, struct buf *error)
{
    if (find_descriptor(m, error) < 0 || check_version(m, error) < 0 || check_names(m, error) < 0 ||
        check_tables(m, error) < 0) {
        m->desc = NULL;
        return -1;
    }
    return 0;
}
