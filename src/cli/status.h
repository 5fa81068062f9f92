/* status.h - -s status in plain words. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "cli/remote.h"

/* Prints the answer to `status`. */
void status_print(const struct remote *r);

#endif
