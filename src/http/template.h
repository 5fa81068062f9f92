/* template.h - texts with variables of a request: "https://${host}${path}". Compiled when the settings are loaded, so that a
 * request only copies.
 *
 *     ${host} ${path} ${query} ...    a variable of the table in template.c
 *     ${query.x} ${header.X-Y}        one that has a name of its own behind the dot
 *     $${                             a plain "${"
 *
 * Variables have no defaults and no expressions: one that is not there is empty. */
#ifndef HTTP_TEMPLATE_H
#define HTTP_TEMPLATE_H

#include "base/arena.h"
#include "base/buf.h"

enum template_var {
    TEMPLATE_TEXT, /* no variable */
    TEMPLATE_CAPTURE,
    TEMPLATE_CLIENT,
    TEMPLATE_COOKIE,
    TEMPLATE_HEADER,
    TEMPLATE_HOST,
    TEMPLATE_METHOD,
    TEMPLATE_PATH,
    TEMPLATE_PEER,
    TEMPLATE_QUERY,
    TEMPLATE_QUERY_NAME,
    TEMPLATE_REQUEST_ID,
    TEMPLATE_ROUTE,
    TEMPLATE_SCHEME,
    TEMPLATE_SITE,
    TEMPLATE_TARGET,
    TEMPLATE_USER,
    TEMPLATE_VARS
};

struct template_part {
    enum template_var var;
    cs_str text;     /* of TEXT; of the others the name behind the dot */
    unsigned number; /* of ${capture.1} */
};

struct template
{
    cs_template pub; /* first: what modules have is a pointer to this */
    size_t nparts;
    struct template_part *parts;
    uint32_t uses;     /* bit enum template_var: what has to be known */
    const void *place; /* its conf_origin, which only conf knows; NULL: it is a default */
};

static inline const struct template *template_of(const cs_template *t)
{
    return (const struct template *)(const void *)t;
}

/* In the arena, `text` copied; NULL with a sentence in *error, and in *where what of `text` is wrong. */
const struct template *template_compile(struct arena *a, cs_str text, cs_str *where,
                                        struct buf *error);

/* "$host" is a variable elsewhere, and plain text here. The first such in *where, and in *ours what it is called here. */
bool template_bare(cs_str text, cs_str *where, struct buf *ours);

/* Value of a variable; empty where there is none. */
typedef cs_str template_lookup(void *arg, const struct template_part *part);
/* Appends it to out. `place`: a CS_ESCAPE_... of cserver.h. Never a CR, LF or NUL that comes from a variable, but in
 * CS_ESCAPE_NONE. */
void template_render(const struct template *t, int place, template_lookup *look_up, void *arg,
                     struct buf *out);
/* Its whole text, where there is no variable and nothing escaped in it; p NULL: it has to be rendered. */
cs_str template_plain(const struct template *t);

/* "capture.NAME, client, ..." for the reference. */
void template_names(struct buf *out);

#endif
