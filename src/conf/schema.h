/* schema.h - the tables of the core's own sections, and the parser of one value by its directive.
 *
 * The text of a value, as it is given here and in a directive's default, is what an operator
 * writes, with quotes removed and lines joined. Only in a list the quotes around single elements
 * are still there: elements are separated by commas or line breaks, and one in quotes may contain
 * commas.
 *
 * A range of 0..0 means no limit. */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"

/* Flags of the core's own tables, beside those of cserver.h. */
enum {
    CONF_OCTAL = 0x100,   /* CS_T_INT written in octal */
    CONF_TIGHT = 0x200,   /* CS_T_STR whose lines are joined without a blank */
    CONF_RUNTIME = 0x400, /* a number, word or switch that a running generation can take: tune.h */
    CONF_RESTART = 0x800, /* holds as long as the server runs */
    CONF_OUTER =
        0x1000 /* a number, size, time or word that may be empty: then it is -1, and what the scope around says
                           * holds */
};

/* In the core's tables aux may also be: for CS_T_STR a word that stands for the empty string; for
 * CS_T_PATH a NULL-terminated array of words that are no paths. */

struct conf_kind {
    const char *name; /* "server", "listen" ... */
    bool labelled;    /* [kind:label] */
    const cs_directive *table;
    size_t size; /* of the struct it fills */
    const char *help;
};

extern const struct conf_kind conf_kinds[]; /* ends with name NULL */
/* NULL: there is no such kind. */
const struct conf_kind *schema_kind(cs_str name);
/* The directive of that name, NULL if the table (which may be NULL) has none. */
const cs_directive *schema_find(const cs_directive *table, cs_str name);

/* Parses `text` by d and stores it into base + d->off; strings are copied into the arena
 * (NUL-terminated), relative paths joined to prefix. 0, or -1 with a sentence in *error that names
 * the allowed range or words. */
int schema_parse(const cs_directive *d, cs_str text, const char *prefix, void *base,
                 struct arena *a, struct buf *error);
/* Fills in all defaults of a table. 0 or -1 with *error. */
int schema_defaults(const cs_directive *table, const char *prefix, void *base, struct arena *a,
                    struct buf *error);
/* What d accepts, for people: "on or off", "a whole number from 1 to 1024, or auto". */
void schema_accepts(const cs_directive *d, struct buf *out);
/* The value at base + d->off as text that schema_parse turns into the same value. */
void schema_format(const cs_directive *d, const void *base, struct buf *out);

/* Is it a list of elements, whose lines come one behind the other? */
static inline bool schema_is_list(const cs_directive *d)
{
    return d->type == CS_T_LIST || d->type == CS_T_TEMPLATES || d->type == CS_T_BLOCKS;
}
/* Do variables of a request stand in it? Then "${" and "$${" come to schema_parse as they are. */
static inline bool schema_is_template(const cs_directive *d)
{
    return d->type == CS_T_TEMPLATE || d->type == CS_T_TEMPLATES;
}
/* A list with CS_ADDS: puts the elements of `outer` before those that are at base. */
void schema_prepend(const cs_directive *d, const void *outer, void *base, struct arena *a);

/* Cuts the text of a list into its elements, unquoted, in arena memory. 0, or -1 with *error. */
int schema_split(cs_str text, struct arena *a, cs_list *out, struct buf *error);

#endif
