/* capture.h - what a route's match has caught of the path: the groups of a regex by number and name, and "rest", what is behind a
 * prefix: "/b" where "/a" matches /a/b, "b" where "/a/" does. Always parts of the path, nothing is copied. */
#ifndef SERVE_CAPTURE_H
#define SERVE_CAPTURE_H

#include "http/template.h"
#include "serve/route.h"

/* Value of a variable ${capture...}; empty where there is none. */
cs_str capture_value(const struct route_found *found, const struct template_part *part);
/* Reports templates that were written on the route and name what its match cannot catch. */
void capture_check(const struct conf *conf, const struct route *r, struct report *rep);

#endif
