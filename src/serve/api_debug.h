/* api_debug.h - [server] module_debug: another table of calls, each of which first looks whether it may be made: from this
 * thread, and with a request that is alive. One that may not is a sentence in the log and the end of the process. The
 * usual table knows nothing of it. */
#ifndef SERVE_API_DEBUG_H
#define SERVE_API_DEBUG_H

#include "serve/request.h"

/* The calls of `plain`, looked at. From the thread that modules run on; once for a process and its children. */
const cs_api *api_debug_table(const cs_api *plain);

/* A request begins; from here on modules may not use it any more. */
void api_debug_born(struct request *r);
void api_debug_gone(struct request *r);

#endif
