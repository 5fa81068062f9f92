/* check.c - the end of a process that found itself wrong. */
#include "base/check.h"

#include "base/log.h"

#include <stdlib.h>

void check_failed(const char *cond, const char *file, int line, const char *func)
{
    log_error("bug: check failed: %s (%s:%d, %s)", cond, file, line, func);
    abort();
}
