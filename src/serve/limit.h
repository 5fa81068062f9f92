/* limit.h - the limits that hold for a request: its route's, its site's, or those of [limits]. */
#ifndef SERVE_LIMIT_H
#define SERVE_LIMIT_H

#include "serve/request.h"

/* As far as its site and its route are known. */
struct conf_bound limit_bound(const struct request *r, enum conf_limit which);
static inline int64_t limit_of(const struct request *r, enum conf_limit which)
{
    return limit_bound(r, which).value;
}

/* Of the connection's answer, or stream, that is being sent. */
int64_t limit_write(const struct conn *c);

/* Is the body that the head announces short enough? If not it has been refused with 413. To be asked again when the request
 * comes to another route. */
bool limit_body_fits(struct request *r);

/* The handler has begun, or goes on: handler_timeout counts from now on. */
void limit_be_patient(struct request *r);

/* A line in the log: `what`, and which key has which value where. who: the module whose fault it is, or NULL. */
void limit_tell(struct request *r, const char *who, enum conf_limit which, const char *what);

#endif
