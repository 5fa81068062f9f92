/* mail_metrics.h - what the mail has counted, as metrics: of each process that ever took part, of each topic there is, and
 * of the whole. */
#ifndef SERVE_MAIL_METRICS_H
#define SERVE_MAIL_METRICS_H

#include "serve/publisher.h"

void mail_metrics_put(const struct region *r, struct publisher *p);

#endif
