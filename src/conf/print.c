/* print.c - what is printed must read back: values are quoted where the reader would take them for
 * something else, and module keys are written module.key, which never depends on what else is
 * loaded. */
#include "conf/conf.h"
#include "conf/line.h"
#include "conf/quote.h"
#include "conf/schema.h"

#define ONE_LINE 72 /* longer lists get a line for each element */

struct printer {
    struct buf *out;
    bool origins;
};

/* A file's name may have anything in it; in a comment it must not end the line. */
static void add_origin(struct printer *p, const struct conf_origin *at)
{
    size_t from;

    if (p->origins) {
        buf_add_z(p->out, " ; ");
        from = p->out->n;
        report_origin(at, p->out);
        for (size_t i = from; i < p->out->n; i++)
            if ((unsigned char)p->out->p[i] < 0x20 || p->out->p[i] == 0x7f)
                p->out->p[i] = '?';
    }
    buf_add_char(p->out, '\n');
}

static void print_key(struct printer *p, const struct conf_head *head, const struct conf_value *v)
{
    bool own = str_is(head->kind, "module") || !v->module;

    if (!own && v->module->head.label.n + 1 + strlen(v->directive->name) <= LINE_KEY_MAX)
        buf_printf(p->out, "%s.", v->module->head.label.p);
    buf_printf(p->out, "%s =", v->directive->name);
}

static void print_elements(struct printer *p, const struct conf_value *v, const cs_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        buf_add_z(p->out, i ? "    " : " ");
        quote_write(l->v[i], true, schema_is_template(v->directive), p->out);
        add_origin(p, &v->origin);
    }
}

static void print_list(struct printer *p, const struct conf_value *v)
{
    struct arena scratch;
    struct buf text = {0}, error = {0};
    cs_list l = {0, NULL};

    arena_init(&scratch, NULL);
    schema_split(v->text, &scratch, &l, &error);
    quote_write(v->text, false, schema_is_template(v->directive), &text);
    if (!l.n) {
        add_origin(p, &v->origin);
    } else if (text.n <= ONE_LINE && !memchr(text.p, '"', text.n)) {
        buf_printf(p->out, " %s", text.p);
        add_origin(p, &v->origin);
    } else {
        print_elements(p, v, &l);
    }
    buf_free(&text);
    buf_free(&error);
    arena_drop(&scratch);
}

static void print_value(struct printer *p, const struct conf_head *head, const struct conf_value *v)
{
    if (!v->text.p) {
        if (p->origins)
            buf_printf(p->out, "; %s is not set here\n", v->directive->name);
        return;
    }
    if (p->origins && v->directive->flags & CS_SECRET && v->text.n)
        buf_printf(p->out,
                   "; %s is a secret and not shown: *** has to be replaced before this is used\n",
                   v->directive->name);
    print_key(p, head, v);
    if (v->directive->flags & CS_SECRET) {
        buf_add_z(p->out, v->text.n ? " ***" : "");
        add_origin(p, &v->origin);
    } else if (schema_is_list(v->directive)) {
        print_list(p, v);
    } else {
        if (v->text.n)
            buf_add_char(p->out, ' ');
        quote_write(v->text, false, schema_is_template(v->directive), p->out);
        add_origin(p, &v->origin);
    }
}

static void print_section(struct printer *p, const struct conf_head *head)
{
    if (p->out->n)
        buf_add_char(p->out, '\n');
    buf_printf(p->out, "[%s%s%.*s]", head->kind.p, head->label.n ? ":" : "", CS_F(head->label));
    add_origin(p, &head->at);
    for (size_t i = 0; i < head->nvalues; i++)
        print_value(p, head, &head->values[i]);
}

static void print_all(struct printer *p, const struct conf *c)
{
    const struct conf_head *head;

    for (size_t i = 0; (head = conf_head_at(c, i)); i++)
        print_section(p, head);
}

void conf_print(const struct conf *c, struct buf *out)
{
    struct printer p = {out, true};

    print_all(&p, c);
}

void conf_print_plain(const struct conf *c, struct buf *out)
{
    struct printer p = {out, false};

    print_all(&p, c);
}
