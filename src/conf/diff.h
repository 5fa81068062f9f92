/* diff.h - what is different between two trees of settings, and what it takes to make each
 * difference true: nothing but a message, new workers, or a restart. Looks only at its arguments.
 *
 * Values are compared as they are printed, so "60s" and "1m" are the same. What is not in the
 * settings but belongs to them (a module's file has changed) is added by who knows of it. */
#ifndef CONF_DIFF_H
#define CONF_DIFF_H

#include "base/json.h"
#include "conf/conf.h"

/* What it takes. */
enum conf_need {
    CONF_NEED_MESSAGE, /* running processes take it: a run-time setting */
    CONF_NEED_WORKERS,
    CONF_NEED_RESTART,
    CONF_NEEDS
};

enum conf_change_what {
    CONF_CHANGE_VALUE,
    CONF_CHANGE_ADDED,   /* the section is new; its values that somebody wrote follow */
    CONF_CHANGE_REMOVED, /* the section is gone */
    CONF_CHANGE_ORDER,   /* the sections of a kind stand in another order */
    CONF_CHANGE_BEHIND   /* what the settings name has changed: key says what, new what happened */
};

/* Strings belong to the diff, but for the origin's, which belong to the trees. */
struct conf_change {
    enum conf_change_what what;
    enum conf_need need;
    cs_str section;       /* "limits", "route:api"; of ORDER the kind */
    cs_str key;           /* with "MODULE." before it where it is a module's and stands elsewhere */
    cs_str before, after; /* p NULL: not set. "***" of a secret that is set */
    struct conf_origin at; /* of the new value or section; of the old section where it is gone */
    struct conf_change *next;
};

struct conf_diff {
    struct arena arena;
    struct conf_change *first, **last;
    unsigned n, needs[CONF_NEEDS];
};

void conf_diff_init(struct conf_diff *d);
void conf_diff_free(struct conf_diff *d);
/* Adds the differences, in the order of `after`; what is gone comes last. */
void conf_diff_make(struct conf_diff *d, const struct conf *before, const struct conf *after);
/* The file of a module, the folder of a root: new workers take it. Strings are copied. */
void conf_diff_behind(struct conf_diff *d, cs_str section, const char *key, const char *what);

/* "run-time", "new workers", "restart". */
const char *conf_need_name(enum conf_need need);
/* "[limits] max_body: 1m -> 2m (conf/cserver.ini:12)"; long values are cut. */
void conf_diff_say(const struct conf_change *c, struct buf *out);
/* "no difference"; else how many of each need and the first few by name. */
void conf_diff_sum(const struct conf_diff *d, struct buf *out);
/* The array "changes" into an object. */
void conf_diff_json(const struct conf_diff *d, struct json *j);

#endif
