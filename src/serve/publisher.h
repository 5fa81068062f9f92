/* publisher.h - hands metrics over one by one, until whoever gets them says stop; and the labels that tell which
 * process counted them. */
#ifndef SERVE_PUBLISHER_H
#define SERVE_PUBLISHER_H

#include "base/str.h"
#include "ipc/region.h"

#include <stdbool.h>

struct publisher {
    int (*each)(const cs_metric *m, void *arg);
    void *arg;
    int rc; /* not 0: stopped, with that result */
};

/* Sets m.size. */
void publisher_put(struct publisher *p, cs_metric m);
/* Those that have no label. */
void publisher_gauge(struct publisher *p, const char *name, const char *help, int64_t value);
void publisher_counter(struct publisher *p, const char *name, const char *help, uint64_t value);
/* Labels as in m; the rest comes from the buckets. */
void publisher_histogram(struct publisher *p, cs_metric m, const struct ipc_buckets *buckets);

/* ---- Processes ---- */

#define OWNER_LABELS 10

/* Which slots a family is about. */
struct owners {
    const struct region *region;
    bool (*has)(const struct region *r, int slot);
};

struct owner {
    int slot;
    char digits[16];
    cs_str labels[OWNER_LABELS]; /* begin with worker="3" or process="primary"; more may follow */
};
#define OWNER_NONE                                                                                 \
    {                                                                                              \
        .slot = -1                                                                                 \
    }

/* for (struct owner o = OWNER_NONE; owner_next(&all, &o);). The master's and a primary's slot have a name, so do all of
 * workers; nobody ever has the others. */
bool owner_next(const struct owners *all, struct owner *o);
/* A label after the first. n: 1, 2, ... */
void owner_label(struct owner *o, size_t n, cs_str name, cs_str value);

/* A gauge of each of them. */
void owners_gauge(const struct owners *all, struct publisher *p, const char *name, const char *help,
                  int64_t (*value)(const struct region *r, int slot));

#endif
