/* module_metrics.h - the counters of modules, summed over all processes, and what the server has counted of modules, as
 * metrics. */
#ifndef SERVE_MODULE_METRICS_H
#define SERVE_MODULE_METRICS_H

#include "serve/publisher.h"

void module_metrics_put(const struct region *r, struct publisher *p);

#endif
