/* mark.c - where each template stands: who tells what a field of an answer comes from asks for it at a request, when the
 * lines are long forgotten. */
#include "conf/bind.h"

#include "http/template.h"

static int scope_of(cs_str kind)
{
    if (str_is(kind, "route"))
        return CS_SCOPE_ROUTE;
    return str_is(kind, "site") ? CS_SCOPE_SITE : CS_SCOPE_MODULE;
}

/* The tree is constant for everybody but its maker. */
static void mark(const cs_template *t, cs_str kind, cs_str origin)
{
    cs_template *own = (cs_template *)(uintptr_t)t;

    own->scope = scope_of(kind);
    own->origin = origin;
}

static cs_str place(struct bind *b, const struct conf_origin *at)
{
    struct buf text = {0};
    cs_str out;

    report_origin(at, &text);
    out = arena_dup(&b->c->arena, buf_str(&text));
    buf_free(&text);
    return out;
}

/* How many elements of a list a line has. */
static size_t elements(struct bind *b, const struct conf_piece *p)
{
    struct buf error = {0};
    cs_list l = {0, NULL};

    if (!p->quoted && schema_split(p->text, &b->c->arena, &l, &error) < 0)
        l.n = 0;
    buf_free(&error);
    return p->quoted ? 1 : l.n;
}

static void mark_list(struct bind *b, cs_str kind, const struct conf_entry *const *entries,
                      size_t n, const cs_templates *list)
{
    size_t done = 0;

    for (size_t i = 0; i < n; i++)
        for (const struct conf_piece *p = entries[i]->pieces; p; p = p->next) {
            cs_str at = place(b, &p->at);

            for (size_t left = elements(b, p); left && done < list->n; left--)
                mark(list->v[done++], kind, at);
        }
}

void mark_templates(struct bind *b, const struct conf_section *s,
                    const struct conf_entry *const *entries, size_t n, const cs_directive *d,
                    const void *base)
{
    const char *at = (const char *)base + d->off;
    const cs_template *one;
    cs_templates list;

    if (d->type == CS_T_TEMPLATE) {
        memcpy(&one, at, sizeof one);
        mark(one, s->kind, place(b, &entries[0]->value_at));
    } else if (d->type == CS_T_TEMPLATES) {
        memcpy(&list, at, sizeof list);
        mark_list(b, s->kind, entries, n, &list);
    }
}
