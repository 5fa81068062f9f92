/* text.h - building the tree of sections and entries that reader.h describes. For the reader and
 * the overrides. */
#ifndef CONF_TEXT_H
#define CONF_TEXT_H

#include "conf/reader.h"

#define TEXT_VALUE_MAX   65536 /* bytes of one value, all its lines together */
#define TEXT_ENTRIES_MAX 4096  /* keys in one section */

struct conf_text *text_new(const char *path, const char *prefix);
/* NULL prefix: conf_prefix_of(path). */

struct conf_section *text_add_section(struct conf_text *t, cs_str kind, cs_str label, bool labelled,
                                      const struct conf_origin *at);
struct conf_entry *text_add_entry(struct conf_text *t, struct conf_section *s, cs_str key,
                                  const struct conf_origin *at);
/* Adds one line's value, as written: unquotes it and replaces variables. A problem goes to rep and
 * makes the entry bad. */
void text_add_piece(struct conf_text *t, struct conf_entry *e, cs_str raw, bool quoted,
                    const struct conf_origin *at, struct report *rep);
/* Joins the pieces to the entry's value, once all are there. */
void text_close_entry(struct conf_text *t, struct conf_entry *e);

/* Applies one -g. */
void text_override(struct conf_text *t, const char *override, struct report *rep);

#endif
