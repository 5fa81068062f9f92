/* report.h - collects everything that is wrong with the settings, so that one run shows all of it.
 *
 * Each entry prints as
 *     conf/cserver.ini:12:1: error: unknown key "wokers" in [server]; did you mean "workers"?
 *        12 | wokers = 4
 *           | ^~~~~~
 */
#ifndef CONF_REPORT_H
#define CONF_REPORT_H

#include "base/arena.h"
#include "base/buf.h"

/* Where a value comes from. File NULL: a default or the command line, as `what` says. */
struct conf_origin {
    const char *file; /* as the operator named it; NULL if it is not from a file */
    int line;         /* 1.. */
    int col;          /* 1.. of the value or name, in bytes; 0 unknown */
    const char
        *text; /* the whole physical line (or the text behind -g), for the caret; NULL unknown */
    const char *
        what; /* "default", "command line"; "environment": the line at file:line names a variable */
};

enum report_kind {
    REPORT_ERROR,
    REPORT_WARNING,
    REPORT_NOTE /* nothing is wrong; not counted */
};

struct report_entry {
    enum report_kind kind;
    struct conf_origin at;
    int width; /* bytes of the line under the caret, at least 1 */
    const char *message;
    struct report_entry *next;
};

struct report {
    struct arena arena;
    struct report_entry *first, **last;
    unsigned errors, warnings;
};

void report_init(struct report *r);
void report_free(struct report *r);
/* `at` may be NULL: the entry names no place. All strings are copied. */
void report_error(struct report *r, const struct conf_origin *at, int width, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void report_warning(struct report *r, const struct conf_origin *at, int width, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void report_note(struct report *r, const struct conf_origin *at, int width, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same place moved to `what`, where the line has it at or behind the old column: for a caret
 * under one element of a list. */
struct conf_origin report_point(const struct conf_origin *at, cs_str what);
/* "conf/cserver.ini:12", "default", "command line", "conf/cserver.ini:12, environment". */
void report_origin(const struct conf_origin *at, struct buf *out);
/* Brings the entries into the order of their lines; files stay in the order in which they first
 * came up, and what is in no file comes last. */
void report_sort(struct report *r);
/* All entries in their order, as text like above. */
void report_print(const struct report *r, struct buf *out);
/* The first error in one line, for a log line or a command's answer; "" when there is none. */
cs_str report_summary(const struct report *r, struct buf *out);

#endif
