/* handle.h - runs the access hooks of a request's route and then its handlers, until one has taken the request. */
#ifndef SERVE_HANDLE_H
#define SERVE_HANDLE_H

#include "serve/request.h"

/* The request has a route: access hooks, then handlers, as far as they go. */
void handle_begin(struct request *r);

/* Runs handlers from r->link on, until one has taken the request or the body must be collected
 * first. */
void handle_run(struct request *r);

/* The same for an error page: its route's handlers only, and the request's body is none of theirs. */
void handle_page(struct request *r);

/* The hook that it waits for has returned, long after it was called: a task. */
void handle_later(struct request *r, int rc);

/* cs_proceed takes effect: what was pending leaves the request to the next. */
void handle_proceed(struct request *r);

#endif
