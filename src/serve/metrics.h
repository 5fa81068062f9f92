/* metrics.h - every value the server publishes, one by one: what a status page shows. */
#ifndef SERVE_METRICS_H
#define SERVE_METRICS_H

#include "serve/ctx.h"

int metrics_each(struct serve *s, int (*each)(const cs_metric *m, void *arg), void *arg);

#endif
