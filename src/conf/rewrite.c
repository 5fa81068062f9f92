/* rewrite.c - a route that sends requests on to another path has nothing else to say about them: whoever thinks that it
 * guards or answers them is told. */
#include "conf/bind.h"

#include "http/template.h"

/* Where a value starts in its line. */
static struct conf_origin place_of(const struct conf_section *s, const char *key)
{
    for (const struct conf_entry *e = s->first; e; e = e->next)
        if (str_is(e->key, key))
            return e->value_at;
    return s->at;
}

static void refuse(struct bind *b, const struct conf_section *s, const char *key, const char *why)
{
    struct conf_origin at = place_of(s, key);

    report_error(b->rep, &at, 1, "%s: %s", key, why);
}

static bool starts_a_path(const struct template *t)
{
    const struct template_part *first = t->parts;

    return first->var == TEMPLATE_PATH || first->var == TEMPLATE_CAPTURE ||
           (first->var == TEMPLATE_TEXT && first->text.p[0] == '/');
}

static const char *wrong(const struct template *t)
{
    if (!starts_a_path(t))
        return "is no path; it starts with \"/\", ${path} or a capture. To send the client to "
               "another address, use the module redirect";
    for (size_t i = 0; i < t->nparts; i++)
        if (t->parts[i].var == TEMPLATE_TEXT && memchr(t->parts[i].text.p, '#', t->parts[i].text.n))
            return "has a \"#\" in it, which is the client's affair and no part of a path; write "
                   "%23 for the character";
    return NULL;
}

void rewrite_bind(struct bind *b, const struct conf_route *r, const struct conf_section *s)
{
    const char *why;

    if (!r->rewrite->text.n)
        return;
    why = wrong(template_of(r->rewrite));
    if (why) {
        struct conf_origin at = place_of(s, "rewrite");

        report_error(b->rep, &at, (int)r->rewrite->text.n, "rewrite: \"%.*s\" %s",
                     r->rewrite->text.n > 80 ? 80 : (int)r->rewrite->text.n, r->rewrite->text.p,
                     why);
    }
    if (r->handler.n)
        refuse(b, s, "handler",
               "a route with \"rewrite\" sends its requests on to another route, whose handlers "
               "answer; leave out one of the two");
    if (r->use.n)
        refuse(
            b, s, "use",
            "a route with \"rewrite\" sends its requests on to another route, and only the modules "
            "of that one and of the site take part; write it there");
    if (r->root.n)
        refuse(b, s, "root",
               "does nothing on a route with \"rewrite\"; the route it leads to has one");
    if (r->error_pages.n)
        refuse(b, s, "error_pages",
               "does nothing on a route with \"rewrite\"; the route it leads to has them");
}
