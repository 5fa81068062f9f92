/* offload.h - jobs of requests: work on a thread for which a request waits, or does not any more.
 *
 * A request that ends takes its waiting jobs with it. While one still runs it cannot go: it has been logged and counted,
 * has no connection, and its token leads to nothing, but its memory and its on_close callbacks stay until all work has
 * returned. */
#ifndef SERVE_OFFLOAD_H
#define SERVE_OFFLOAD_H

#include "module/job.h"
#include "serve/request.h"

/* Part of cs_api. */
int api_offload(cs_req *pub, void (*work)(void *arg), cs_req_cb done, void *arg);

/* The request does not wait any more: no done is called, and what has not begun does not begin. */
void offload_drop(struct request *r);

#endif
