/* near.h - routes that an operator may have meant for a path: it is off by a slash, by case, by a letter or two, or another
 * route comes first. Only `cserver explain` looks for them. */
#ifndef SERVE_NEAR_H
#define SERVE_NEAR_H

#include "serve/plan.h"
#include "serve/route.h"
#include "serve/trace.h"

/* Adds those of the site to the trace that it does not know yet; taken: the one that was found. */
void near_routes(struct trace *t, const struct serve_plan *plan, const struct conf_site *site,
                 const struct route *taken, cs_str path);

/* Why a route with this match might have been meant, the end of a sentence about it; NULL: it is far off. *behind: it does
 * match. */
const char *near_why(enum conf_match kind, cs_str match, cs_str path, bool *behind);

#endif
