/* parts.h - answers to a Range field: the part or the parts of a complete body that it names. */
#ifndef SERVE_PARTS_H
#define SERVE_PARTS_H

#include "serve/respond.h"

/* Does the body have none of what is asked for? Then the answer is 416. Before the header filters, so that they see the status and
 * have the last word on the page. */
bool parts_fail(struct request *r, const struct respond_body *b);

/* True when a Range field has been dealt with. */
bool parts_answer(struct request *r, const struct respond_body *b);

#endif
