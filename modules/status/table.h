/* table.h - what the server publishes, sorted for showing: by worker, by module, and for the whole
 * server. Nothing here knows single metrics by name, but the line of a worker (cserver_worker_up).
 */
#ifndef STATUS_TABLE_H
#define STATUS_TABLE_H

#include <cserver/cserver.h>

struct value {
    cs_str name; /* without "cserver_" or the module's name, e.g. "accepts_total" */
    int64_t value;
    _Bool gauge;
};

struct values {
    struct value *v;
    size_t n, room;
};

/* What has a name and values: a worker (by its number) or a module. */
struct group {
    cs_str name;
    struct values values;
    _Bool up; /* a worker: it lives, and the four labels are known */
    cs_str pid, state, generation, incarnation;
};

struct groups {
    struct group *v;
    size_t n, room;
};

struct table {
    cs_req *r;
    struct groups workers; /* by number */
    struct groups modules;
    struct values server; /* gauges of the whole server */
    struct values
        totals;   /* the rest; numbers of workers are added up, of those that have gone too */
    _Bool failed; /* out of memory: not complete */
};

/* Fills t, in the memory of r. */
void table_read(struct table *t, cs_req *r);

/* The value of that name, or NULL. */
const struct value *values_find(const struct values *s, cs_str name);
/* The name to show: without "_total", unless another value of s has that name. */
cs_str values_short_name(const struct values *s, cs_str name);

#endif
