/* reader.h - settings files become a list of sections and entries. It feeds libinih line by line so
 * that what libinih 55 would misread (long lines, empty sections, blanks before keys, ` ;` inside
 * quotes ...) is either right or refused with its place. It knows syntax only; what the keys mean
 * is conf.h's business.
 *
 * It reads each file once: everybody who works on the settings later works on these bytes. */
#ifndef CONF_READER_H
#define CONF_READER_H

#include "conf/report.h"

/* What one line gives to a value. */
struct conf_piece {
    cs_str text; /* without quotes, variables replaced */
    bool quoted; /* it was written in quotes */
    bool env;    /* it names an environment variable */
    struct conf_origin at;
    struct conf_piece *next;
};

struct conf_entry {
    cs_str key;
    cs_str value; /* its pieces joined by '\n'; the type decides what a line break means (list: next
                     element; string: one blank; path: nothing) */
    bool quoted;  /* the first piece was written in quotes */
    bool bad;     /* reported already: the value is not to be looked at */
    struct conf_origin at; /* of the key */
    struct conf_origin value_at;
    struct conf_piece *pieces, **last_piece; /* at least one, unless bad */
    struct conf_entry *next;
};

struct conf_section {
    cs_str kind, label; /* [kind:label]; label empty for [kind]; both NUL-terminated */
    bool labelled;
    bool again;            /* the second of its name (reported): its keys are only checked */
    struct conf_origin at; /* file NULL: made by an override */
    struct conf_entry *first, **last;
    unsigned nentries;
    struct conf_section *next, *next_in_bucket;
};

#define CONF_BUCKETS 1024

struct conf_text {
    struct arena arena; /* owns all strings of the tree */
    struct conf_section *first, **last;
    struct conf_section *bucket[CONF_BUCKETS]; /* by name, for conf_text_find */
    char *path;                                /* main file, as given */
    char *prefix;                              /* absolute */
};

/* -g "section.key=value" or "kind:label.key=value"; it takes the place of what the files say, later
 * ones win. A label may have dots: the longest one that is a section of the files counts, else the
 * last dot is before the key. A section that does not exist is made. */
struct conf_override {
    const char *text;
};

struct conf_read_opts {
    const char *prefix; /* for relative paths: see conf_prefix_of */
    const struct conf_override *overrides;
    size_t noverrides;
    bool again; /* it has been read before: who opens a pipe now waits for a writer for ever */
};

/* Reads `path` and its includes ("include = sites/asterisk.ini" in [server] or before any section;
 * relative to the including file; sorted; a pattern that matches nothing is fine, a plain name that
 * is missing is an error; depth at most 8). Problems go to rep. NULL only when the main file cannot
 * be read at all; a tree with errors in rep is partial. */
struct conf_text *conf_read(const char *path, const struct conf_read_opts *opts,
                            struct report *rep);
/* The same for a text in memory that is called `name`; it cannot include files. */
struct conf_text *conf_read_bytes(const char *name, cs_str bytes, const struct conf_read_opts *opts,
                                  struct report *rep);
void conf_text_free(struct conf_text *t);

/* [kind:label], or [kind] when label is empty; NULL if there is none. */
struct conf_section *conf_text_find(const struct conf_text *t, cs_str kind, cs_str label);

/* The prefix that goes with a settings file: of P/conf/x.ini and P/etc/cserver/x.ini it is P, else
 * the file's folder. Absolute; to be freed. */
char *conf_prefix_of(const char *path);

#endif
