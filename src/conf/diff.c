/* diff.c - see diff.h. Sections are found by name; the search begins behind the last one that was
 * found, since most stand where they stood. */
#include "conf/diff.h"

#include "base/mem.h"
#include "conf/schema.h"

#include <stdlib.h>
#include <string.h>

void conf_diff_init(struct conf_diff *d)
{
    *d = (struct conf_diff){0};
    arena_init(&d->arena, NULL);
    d->last = &d->first;
}

void conf_diff_free(struct conf_diff *d)
{
    arena_drop(&d->arena);
    conf_diff_init(d);
}

static struct conf_change *add(struct conf_diff *d, enum conf_change_what what, enum conf_need need,
                               cs_str section)
{
    struct conf_change *c = arena_zalloc(&d->arena, sizeof *c);

    c->what = what;
    c->need = need;
    c->section = section;
    c->key = CS_S("");
    *d->last = c;
    d->last = &c->next;
    d->n++;
    d->needs[need]++;
    return c;
}

void conf_diff_behind(struct conf_diff *d, cs_str section, const char *key, const char *what)
{
    struct conf_change *c =
        add(d, CONF_CHANGE_BEHIND, CONF_NEED_WORKERS, arena_dup(&d->arena, section));

    c->key = arena_dup(&d->arena, str_of(key));
    c->after = arena_dup(&d->arena, str_of(what));
}

/* ---- Names ---- */

static cs_str name_of(struct conf_diff *d, const struct conf_head *head)
{
    return arena_printf(&d->arena, "%.*s%s%.*s", CS_F(head->kind), head->label.n ? ":" : "",
                        CS_F(head->label));
}

static bool is_same_section(const struct conf_head *a, const struct conf_head *b)
{
    return str_eq(a->kind, b->kind) && str_eq(a->label, b->label);
}

static cs_str key_of(struct conf_diff *d, const struct conf_head *head, const struct conf_value *v)
{
    bool elsewhere = v->module && !str_is(head->kind, "module");

    return elsewhere
               ? arena_printf(&d->arena, "%.*s.%s", CS_F(v->module->head.label), v->directive->name)
               : arena_dup(&d->arena, str_of(v->directive->name));
}

static cs_str module_of(const struct conf_value *v)
{
    return v->module ? v->module->head.label : CS_S("");
}

static bool is_same_key(const struct conf_value *a, const struct conf_value *b)
{
    return strcmp(a->directive->name, b->directive->name) == 0 &&
           str_eq(module_of(a), module_of(b));
}

static const struct conf_value *find_value(const struct conf_head *head, size_t guess,
                                           const struct conf_value *like)
{
    if (guess < head->nvalues && is_same_key(&head->values[guess], like))
        return &head->values[guess];
    for (size_t i = 0; i < head->nvalues; i++)
        if (head->values[i].directive && is_same_key(&head->values[i], like))
            return &head->values[i];
    return NULL;
}

/* ---- Values ---- */

static bool is_same_text(cs_str a, cs_str b)
{
    return !a.p == !b.p && str_eq(a, b);
}

static enum conf_need need_of(const struct conf_value *v)
{
    if (v->module)
        return CONF_NEED_WORKERS;
    return v->directive->flags & CONF_RUNTIME   ? CONF_NEED_MESSAGE
           : v->directive->flags & CONF_RESTART ? CONF_NEED_RESTART
                                                : CONF_NEED_WORKERS;
}

static cs_str shown(struct conf_diff *d, const struct conf_value *v)
{
    if (!v || !v->text.p)
        return (cs_str){NULL, 0};
    if (v->directive->flags & CS_SECRET && v->text.n)
        return CS_S("***");
    return arena_dup(&d->arena, v->text);
}

/* One of them may be NULL. */
static void add_value(struct conf_diff *d, const struct conf_head *head, cs_str section,
                      const struct conf_value *before, const struct conf_value *after)
{
    const struct conf_value *any = after ? after : before;
    struct conf_change *c = add(d, CONF_CHANGE_VALUE, need_of(any), section);

    c->key = key_of(d, head, any);
    c->before = shown(d, before);
    c->after = shown(d, after);
    c->at = after ? after->origin : head->at;
}

static void compare(struct conf_diff *d, const struct conf_head *before,
                    const struct conf_head *after)
{
    cs_str section = name_of(d, after);

    for (size_t i = 0; i < after->nvalues; i++) {
        const struct conf_value *new = &after->values[i], *old = find_value(before, i, new);

        if (!old || !is_same_text(old->text, new->text))
            add_value(d, after, section, old, new);
    }
    for (size_t i = 0; i < before->nvalues; i++)
        if (!find_value(after, i, &before->values[i]))
            add_value(d, after, section, &before->values[i], NULL);
}

/* ---- Sections ---- */

static const struct conf_head *find(const struct conf *c, size_t from, const struct conf_head *like,
                                    size_t *at)
{
    size_t n = conf_head_count(c);

    for (size_t i = 0; i < n; i++) {
        const struct conf_head *head = conf_head_at(c, (from + i) % n);

        if (head && is_same_section(head, like)) {
            *at = (from + i) % n;
            return head;
        }
    }
    return NULL;
}

static bool is_written(const struct conf_value *v)
{
    return v->text.p && (v->origin.file || v->origin.text);
}

static void add_section(struct conf_diff *d, const struct conf_head *head)
{
    cs_str section = name_of(d, head);

    add(d, CONF_CHANGE_ADDED, CONF_NEED_WORKERS, section)->at = head->at;
    for (size_t i = 0; i < head->nvalues; i++)
        if (is_written(&head->values[i]))
            add_value(d, head, section, NULL, &head->values[i]);
}

/* Did a section of that kind stand behind the one before it, and does no longer? Told once. */
static void see_order(struct conf_diff *d, const struct conf_head *head, size_t at, size_t *last,
                      const char **told)
{
    const char *kind = schema_kind(head->kind)->name;

    if (at < *last && *told != kind) {
        add(d, CONF_CHANGE_ORDER, CONF_NEED_WORKERS, str_of(kind))->at = head->at;
        *told = kind;
    }
    *last = at;
}

void conf_diff_make(struct conf_diff *d, const struct conf *before, const struct conf *after)
{
    const struct conf_head *old, *new;
    bool *found = mem_alloc(conf_head_count(before) * sizeof *found);
    const char *told = NULL;
    size_t at = 0, last = 0;

    for (size_t i = 0; (new = conf_head_at(after, i)); i++) {
        old = find(before, last, new, &at);
        if (!old) {
            add_section(d, new);
            continue;
        }
        found[at] = true;
        see_order(d, new, at, &last, &told);
        compare(d, old, new);
    }
    for (size_t i = 0; (old = conf_head_at(before, i)); i++)
        if (!found[i])
            add(d, CONF_CHANGE_REMOVED, CONF_NEED_WORKERS, name_of(d, old))->at = old->at;
    free(found);
}
