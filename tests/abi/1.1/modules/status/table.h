/* table.h - what the server publishes, sorted for showing: by worker or other process, by module, by listener, by topic,
 * and for the whole server. Nothing here knows single metrics by name, but those that describe something (cserver_worker_info and its
 * like). */
#ifndef STATUS_TABLE_H
#define STATUS_TABLE_H

#include <cserver/cserver.h>

struct part {
    cs_str name;
    int64_t value;
};

struct value {
    cs_str name;   /* without "cserver_" or the module's name, e.g. "accepts_total" */
    int64_t value; /* histogram: how many */
    _Bool gauge;

    /* Where one more label tells them apart: value is the sum. */
    cs_str label; /* "cause" */
    struct part *parts;
    size_t nparts, room;

    /* Histogram: counts has one more than bounds; no bounds otherwise. */
    const double *bounds;
    uint64_t *counts;
    size_t nbounds;
    double sum;
};

struct values {
    struct value *v;
    size_t n, room;
};

/* What has a name and values: a worker (by its number), another process, a module, a topic, or a listener (by its
 * address). */
struct group {
    cs_str name;
    struct values values;
    _Bool known; /* a process: it is told whether it lives */
    _Bool up;    /* it does, and the four labels are there */
    cs_str pid, state, generation, incarnation;
    cs_str listener, policy;
};

struct groups {
    struct group *v;
    size_t n, room;
};

struct table {
    cs_req *r;
    struct groups workers;   /* by number */
    struct groups processes; /* the others */
    struct groups modules;
    struct groups listeners;
    struct groups topics;
    cs_str version;
    struct values server; /* gauges of the whole server */
    struct values
        totals; /* the rest; numbers of processes are added up, of those that have gone too; the highest of peaks */
    _Bool failed; /* out of memory: not complete */
};

/* Fills t, in the memory of r. */
void table_read(struct table *t, cs_req *r);

/* The value of that name, or NULL. */
const struct value *values_find(const struct values *s, cs_str name);
/* The name to show: without "_total", unless another value of s has that name; of a histogram without "_seconds". */
cs_str values_short_name(const struct values *s, const struct value *v);

/* What `percent` of a histogram's durations do not exceed, as the bound of a bucket in microseconds: -1 when there are
 * none, INT64_MAX when it is above all bounds. */
int64_t value_quantile(const struct value *v, int percent);
/* The part of that name; 0 when there is none. */
int64_t value_part(const struct value *v, cs_str name);

#endif
