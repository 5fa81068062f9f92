/* variable.h - the values of ${...} for a request, and texts with them. */
#ifndef SERVE_VARIABLE_H
#define SERVE_VARIABLE_H

#include "http/template.h"
#include "serve/request.h"

/* Lives as long as the request; empty where there is none. */
cs_str variable_value(struct request *r, const struct template_part *part);
/* The template with its values, in the request's memory, NUL-terminated. `where`: a CS_ESCAPE_... . p NULL: it would be more than a request
 * may have. */
cs_str variable_expand(struct request *r, const cs_template *t, int where);

#endif
