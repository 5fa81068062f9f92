/* board.h - reading what the processes have written about themselves: names, sums, states. */
#ifndef IPC_BOARD_H
#define IPC_BOARD_H

#include "ipc/region.h"

#include <stdbool.h>

/* A name without its "_total" is never that of another metric: OpenMetrics drops the ending. */
struct board_counter {
    const char *name; /* metric name, "cserver_accepts_total" */
    const char *help;
    const char *label,
        *label_value; /* "cause", "kick"; NULL: none. Counters of one name follow each other */
};
struct board_histogram {
    const char *name, *help;
};

const struct board_histogram *board_histogram(enum ipc_histogram h);
/* By enum ipc_counter. */
const struct board_counter *board_counter(enum ipc_counter c);
uint64_t board_get(const struct region *r, int slot, enum ipc_counter c);
uint64_t board_sum(const struct region *r, enum ipc_counter c);
uint64_t board_module_sum(const struct region *r, unsigned index);
/* What is known of the module of that number; NULL: there is none. */
const struct ipc_module *board_module(const struct region *r, unsigned number);
/* By the settings that are live. */
bool board_is_quarantined(const struct region *r, const struct ipc_module *m);
int board_active(const struct region *r); /* open connections of all workers */
const char *board_state_name(enum ipc_state s);
/* Lines for access logs that the process has gathered; of a dead one: that are lost with it. */
uint64_t board_unwritten(const struct region *r, int slot);
/* Clears a dead process's state and gauges, and counts lines that are lost with it as dropped: state FREE, pid 0, active 0, max 0, fit 0, park RUN,
 * kick 0, lost 0, recycle 0, no crumb. Master only, and then turn_rescue. */
void board_bury(struct region *r, int slot);

#endif
