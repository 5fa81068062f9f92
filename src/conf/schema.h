/* schema.h - the tables of the core's own sections, and the parser of one value by its directive. */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"

struct conf_kind {
    const char *name;              /* "server", "listen" ... */
    bool labelled;                 /* [kind:label] */
    const cs_directive *table;
    size_t size;                   /* of the struct it fills */
    const char *help;
};

extern const struct conf_kind conf_kinds[]; /* ends with name NULL */

/* Parses `text` by d and stores it into base + d->off; strings are copied into the arena (NUL-terminated), relative
 * paths joined to prefix. 0, or -1 with a sentence in *error that names the allowed range or words. */
int schema_parse(const cs_directive *d, cs_str text, const char *prefix, void *base, struct arena *a,
                 struct buf *error);
/* Fills in all defaults of a table. 0 or -1 with *error. */
int schema_defaults(const cs_directive *table, const char *prefix, void *base, struct arena *a, struct buf *error);
/* What d accepts, for people: "on or off", "1 to 1024, or auto", "time such as 30s, 100ms to 1h". */
void schema_accepts(const cs_directive *d, struct buf *out);

#endif
