/* view.h - the two ways to show a table. */
#ifndef STATUS_VIEW_H
#define STATUS_VIEW_H

#include "table.h"
#include "text.h"

/* {"version":"0.1", ..., "listeners":[{...}], "workers":[{"worker":1, ...}], "processes":{"primary":{...}},
 * "totals":{...}, "topics":{"NAME":{...}}, "modules":{"static":{...}}} */
void view_json(const struct table *t, struct text *out);
/* One HTML page without anything from outside; it loads itself again after `refresh` ms, 0 = never.
 */
void view_page(const struct table *t, int64_t refresh, struct text *out);

#endif
