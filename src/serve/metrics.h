/* metrics.h - every value the server publishes, one by one, those of one name together: what a status page
 * shows. Counters of all slots that ever had a process, gauges of the dead are 0. */
#ifndef SERVE_METRICS_H
#define SERVE_METRICS_H

#include "serve/plan.h"

#include "ipc/region.h"

/* What the process that is asked knows: nothing else is needed, so any process can answer. */
struct metrics_source {
    const struct region *region;
    unsigned workers;              /* of the live generation */
    const struct serve_plan *plan; /* for the listeners; NULL: they are left out */
};

int metrics_each(const struct metrics_source *src, int (*each)(const cs_metric *m, void *arg),
                 void *arg);

#endif
