/* cpu.h - reads the list of [server] cpu. */
#ifndef CONF_CPU_H
#define CONF_CPU_H

#include "base/buf.h"

#include <cserver/cserver.h>

#define CONF_CPU_MOST 8192 /* numbers are below it */

enum conf_cpu_mode {
    CONF_CPU_OFF,
    CONF_CPU_AUTO, /* dealt out of what the process may use */
    CONF_CPU_LIST
};

struct conf_cpu {
    enum conf_cpu_mode mode;
    size_t n; /* of a list */
    unsigned *v;
};

/* 0; or -1, with *bad the index of the element that is wrong and *error a sentence. */
int conf_cpu_parse(const cs_list *list, struct conf_cpu *out, size_t *bad, struct buf *error);
void conf_cpu_free(struct conf_cpu *c);
/* One element: a number, or first-last. False when it is neither. */
bool conf_cpu_range(cs_str text, unsigned *first, unsigned *last);

#endif
