/* stopping.h - what a server that stops still waits for, in words: from its answer to "status". For who has told it to
 * stop, and for a start that finds it. */
#ifndef PROC_STOPPING_H
#define PROC_STOPPING_H

#include "base/buf.h"
#include "proc/client.h"

/* "waiting for 3 connections (1 in a request, 2 idle), at most 25 s". False, and nothing is written: it does not stop. */
bool stopping_say(cs_str status, struct buf *out);
/* Asks the server, for limit_ms at most, and says it. False: it does not stop, or does not answer. */
bool stopping_ask(struct client *c, int64_t limit_ms, struct buf *out);

#endif
