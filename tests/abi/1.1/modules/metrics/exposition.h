/* exposition.h - all metrics as text, in one of two formats. */
#ifndef METRICS_EXPOSITION_H
#define METRICS_EXPOSITION_H

#include "text.h"

enum format {
    PROMETHEUS, /* text format 0.0.4 */
    OPENMETRICS /* 1.0.0: families of counters are named without _total, and it ends with "# EOF" */
};

extern const char *const exposition_type[]; /* media types, by format */

void exposition_write(enum format format, struct text *out);

#endif
