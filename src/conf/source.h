/* source.h - the bytes of one settings file become sections and entries. Which files there are, and what an "include" in
 * one of them leads to, is reader.c's business. */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include "conf/reader.h"

struct source_reader {
    struct conf_text *text; /* gets what is read */
    struct report *rep;
    /* A complete "include" in the file `name`, at its place between the sections; perhaps bad. */
    void (*on_include)(struct source_reader *r, const char *name, int depth,
                       const struct conf_entry *e);
};

/* depth: how many files have included each other to come to this one. */
void source_read(struct source_reader *r, const char *name, cs_str bytes, int depth);

#endif
