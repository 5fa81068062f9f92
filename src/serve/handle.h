/* handle.h - runs the chain of handlers of a request. */
#ifndef SERVE_HANDLE_H
#define SERVE_HANDLE_H

#include "serve/request.h"

/* Runs handlers from r->link on, until one has taken the request or the body must be collected
 * first. */
void handle_run(struct request *r);

#endif
