/* access_log.h - one line for each request: `combined` (as nginx writes it) or JSON.
 *
 * Lines are gathered and written once in each turn of the loop, so a busy worker writes many at
 * once and an idle one loses nothing. A write that is slow or fails is counted; lines that cannot
 * be written are kept up to a bound, then dropped and counted. */
#ifndef SERVE_ACCESS_LOG_H
#define SERVE_ACCESS_LOG_H

#include "serve/request.h"

/* fd -1: off. Borrows fd. */
struct access_log *access_log_new(int fd, enum conf_access_format format);
void access_log_free(struct access_log *l);
/* Adds the line of a request that is over. */
void access_log_add(struct access_log *l, struct request *r);
/* The one for its route, or its site, or (nothing is known of it) the server; NULL: off. */
struct access_log *access_log_of(const struct request *r);
/* Writes what has gathered. */
void access_log_flush(struct access_log *l, struct serve *s);
/* Another descriptor from now on (what has gathered goes to the old one, which is closed if it was
 * taken over). */
void access_log_reopen(struct access_log *l, struct serve *s, int fd);

#endif
