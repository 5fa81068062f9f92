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
    size_t nparts;
    struct template_part *parts;
    uint32_t uses; /* bit enum template_var: what has to be known */
};

/* Where the result is going to stand, which tells what of a variable is escaped there. The template's own text is the
 * operator's, and stays as it is. */
enum template_place {
    TEMPLATE_FIELD, /* of a header: control bytes become blanks */
    TEMPLATE_URL, /* everything but unreserved characters, "/" and sub-delims is %-encoded; "?" of ${query} and ${target} stays */
    TEMPLATE_BODY /* nothing */
};

/* 0; or -1 with a sentence in *error, and in *where what of `text` is wrong. Everything lies in the arena; `text` is borrowed. */
int template_compile(struct template *t, struct arena *a, cs_str text, cs_str *where,
                     struct buf *error);

/* Value of a variable; empty where there is none. */
typedef cs_str template_lookup(void *arg, const struct template_part *part);
/* Appends it to out. Never a CR, LF or NUL that comes from a variable, in FIELD and URL. */
void template_render(const struct template *t, enum template_place place, template_lookup *look_up,
                     void *arg, struct buf *out);

/* "capture.NAME, client, ..." for the reference. */
void template_names(struct buf *out);

#endif
