/* access_line.h - one line of an access log as text: `combined`, byte for byte as nginx writes it, or JSON. Pure: facts in,
 * bytes out; whatever clients have sent is escaped, so a line has no line break but the one at its end. */
#ifndef SERVE_ACCESS_LINE_H
#define SERVE_ACCESS_LINE_H

#include "base/buf.h"

#include <time.h>

/* An empty text is "-" in combined, "" in JSON; p NULL where it says so. */
struct access_facts {
    uint64_t wall_us; /* the end of the request, since 1970 */
    cs_str client, user, referer, agent;
    int status;
    uint64_t bytes_out; /* of the body, as far as it has left */
    /* Only in combined: as it was sent. */
    cs_str request_line;
    /* Only in JSON. */
    uint64_t id, bytes_in, dur_us;
    cs_str method, host, path, query;
    bool http10;
    cs_str place; /* access_line_place */
};

/* Who has answered: much the same for many requests, so it is text already. */
struct access_place {
    cs_str site, route;
    cs_str module; /* p NULL: none has answered */
    int worker;
    uint32_t generation;
};

/* The text of a second, kept as long as it lasts. Zero-initialised. */
struct access_clock {
    time_t local_at, utc_at; /* the seconds that they are for, + 1 */
    char local[32];          /* "22/Nov/2026:21:30:12 +0000" */
    char utc[24];            /* "2026-11-22T21:30:12" */
};

void access_line_place(struct buf *out, const struct access_place *p);
/* Adds the line to out. */
void access_line_combined(struct buf *out, const struct access_facts *f, struct access_clock *c);
void access_line_json(struct buf *out, const struct access_facts *f, struct access_clock *c);

#endif
