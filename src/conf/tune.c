/* tune.c - see tune.h. Each struct of a section begins with its head, so the head is where the
 * offsets of its table count from. */
#include "conf/tune.h"

#include "base/check.h"
#include "conf/schema.h"

#include <string.h>

static void *field(struct conf_head *head, const cs_directive *d)
{
    return (char *)head + d->off;
}

static struct conf_head *single_at(struct conf *c, size_t i)
{
    struct conf_head *head = (struct conf_head *)(uintptr_t)conf_head_at(c, i);

    return head && !schema_kind(head->kind)->labelled ? head : NULL;
}

static int64_t get(const struct conf_head *head, const cs_directive *d)
{
    const char *at = (const char *)head + d->off;
    int64_t v;

    if (d->type == CS_T_BOOL)
        return *(const bool *)at;
    memcpy(&v, at, sizeof v);
    return v;
}

static void set(struct conf_head *head, const cs_directive *d, int64_t v)
{
    if (d->type == CS_T_BOOL)
        *(bool *)field(head, d) = v != 0;
    else
        memcpy(field(head, d), &v, sizeof v);
}

/* ---- All values ---- */

size_t conf_tune_count(void)
{
    size_t n = 0;

    for (const struct conf_kind *k = conf_kinds; k->name; k++)
        for (const cs_directive *d = k->table; !k->labelled && d->type != CS_T_END; d++)
            n += (d->flags & CONF_RUNTIME) != 0;
    check(n <= CONF_TUNE_MAX);
    return n;
}

void conf_tune_read(const struct conf *c, int64_t *values)
{
    const struct conf_head *head;

    for (size_t i = 0; (head = single_at((struct conf *)(uintptr_t)c, i)); i++)
        for (size_t k = 0; k < head->nvalues; k++)
            if (head->values[k].directive->flags & CONF_RUNTIME)
                *values++ = get(head, head->values[k].directive);
}

void conf_tune_write(struct conf *c, const int64_t *values)
{
    struct conf_head *head;

    for (size_t i = 0; (head = single_at(c, i)); i++)
        for (size_t k = 0; k < head->nvalues; k++)
            if (head->values[k].directive->flags & CONF_RUNTIME)
                set(head, head->values[k].directive, *values++);
}

/* ---- From one tree to another ---- */

static const char *copy_z(struct arena *a, const char *z)
{
    return z ? arena_strdup(a, z) : NULL;
}

static void copy_value(struct arena *a, struct conf_value *to, const struct conf_value *from)
{
    to->text = from->text.p ? arena_dup(a, from->text) : from->text;
    to->origin = from->origin;
    to->origin.file = copy_z(a, from->origin.file);
    to->origin.text = copy_z(a, from->origin.text);
    to->origin.what = copy_z(a, from->origin.what);
}

/* Both have the sections and the core's keys of the same tables. */
static void copy_keys(struct conf *to, const struct conf *from, unsigned flag, struct arena *a)
{
    struct conf_head *head;

    for (size_t i = 0; (head = single_at(to, i)); i++)
        for (size_t k = 0; k < head->nvalues; k++)
            if (head->values[k].directive->flags & flag)
                copy_value(a, &head->values[k], &conf_head_at(from, i)->values[k]);
}

void conf_tune_take(struct conf *live, const struct conf *from)
{
    int64_t values[CONF_TUNE_MAX];
    struct arena fresh;

    conf_tune_read(from, values);
    conf_tune_write(live, values);
    arena_init(&fresh, NULL);
    copy_keys(live, from, CONF_RUNTIME, &fresh);
    arena_drop(&live->tuned);
    live->tuned = fresh;
}

static void parse_again(struct conf *c, struct conf_head *head, const struct conf_value *v)
{
    struct buf error = {0};

    check(schema_parse(v->directive, v->text, "/", head, &c->arena, &error) == 0);
    buf_free(&error);
}

void conf_tune_keep(struct conf *next, const struct conf *live)
{
    struct conf_head *head;

    copy_keys(next, live, CONF_RESTART, &next->arena);
    for (size_t i = 0; (head = single_at(next, i)); i++)
        for (size_t k = 0; k < head->nvalues; k++)
            if (head->values[k].directive->flags & CONF_RESTART)
                parse_again(next, head, &head->values[k]);
}
