/* process_metrics.h - what processes have counted and what they are doing, as metrics. Counters of all slots that ever had a
 * process, gauges of the dead are 0. */
#ifndef SERVE_PROCESS_METRICS_H
#define SERVE_PROCESS_METRICS_H

#include "serve/publisher.h"

void process_metrics_put_workers(const struct region *r, struct publisher *p);
/* The primary and the like. */
void process_metrics_put_others(const struct region *r, struct publisher *p);

#endif
