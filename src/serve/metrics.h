/* metrics.h - every value the server publishes, one by one, those of one name together: what a status page
 * shows. Counters of all slots that ever had a worker, gauges of the dead are 0. */
#ifndef SERVE_METRICS_H
#define SERVE_METRICS_H

#include "serve/ctx.h"

int metrics_each(struct serve *s, int (*each)(const cs_metric *m, void *arg), void *arg);

#endif
