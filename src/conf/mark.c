/* mark.c - where each template stands: who tells what a field of an answer comes from asks for it at a request, when the
 * lines are long forgotten. */
#include "conf/mark.h"

#include "conf/bind.h"

#include "http/template.h"

static void mark(struct bind *b, const cs_template *t, cs_str kind, const struct conf_origin *at)
{
    /* The tree is constant for everybody but its maker. */
    struct template *own = (struct template *)(uintptr_t)template_of(t);
    struct conf_origin *place = arena_alloc(&b->c->arena, sizeof *place);
    struct buf text = {0};

    *place = report_point(at, t->text);
    report_origin(place, &text);
    own->place = place;
    own->pub.scope = mark_scope(kind);
    own->pub.origin = arena_dup(&b->c->arena, buf_str(&text));
    buf_free(&text);
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
        for (const struct conf_piece *p = entries[i]->pieces; p; p = p->next)
            for (size_t left = elements(b, p); left && done < list->n; left--)
                mark(b, list->v[done++], kind, &p->at);
}

int mark_scope(cs_str kind)
{
    if (str_is(kind, "route"))
        return CS_SCOPE_ROUTE;
    return str_is(kind, "site") ? CS_SCOPE_SITE : CS_SCOPE_MODULE;
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
        mark(b, one, s->kind, &entries[0]->value_at);
    } else if (d->type == CS_T_TEMPLATES) {
        memcpy(&list, at, sizeof list);
        mark_list(b, s->kind, entries, n, &list);
    }
}
