/* access_log.h - the access logs of a worker: one line for each request, in the log of its route, its site or the server.
 * access_line.h is what a line looks like, log_queue.h how it gets into the file and what may be lost. */
#ifndef SERVE_ACCESS_LOG_H
#define SERVE_ACCESS_LOG_H

#include "serve/request.h"

struct access_log;
struct access_logs;

/* Those of its plan, whose descriptors are taken over. */
struct access_logs *access_logs_new(struct serve *s);

/* NULL: off. */
struct access_log *access_log_of(const struct request *r);
/* Adds the line of a request that is over. */
void access_log_add(struct access_log *l, struct request *r);

/* Once in each turn of the loop, before it waits. */
void access_logs_before_wait(struct access_logs *all);
/* Another descriptor for one of conf->logs (taken over); the one of the plan is closed. access_logs_are_moving until nothing
 * is written to the old one any more. */
void access_logs_reopen(struct access_logs *all, unsigned index, int fd);
bool access_logs_are_moving(const struct access_logs *all);
/* log_writer_hurry, log_writer_end. */
bool access_logs_hurry(struct access_logs *all, bool limited);
bool access_logs_end(struct access_logs *all, int ms);
/* After access_logs_end, if that was true. */
void access_logs_free(struct access_logs *all);

#endif
