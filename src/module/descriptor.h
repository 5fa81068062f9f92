/* descriptor.h - what a module says of itself (cs_module), checked as data: nothing of the module runs. */
#ifndef MODULE_DESCRIPTOR_H
#define MODULE_DESCRIPTOR_H

#include "module/load.h"

/* Finds the descriptor in a module that is loaded, and looks at all of it: magic, ABI, size, names, tables. 0 with m->desc,
 * and m->name if it had none; or -1 with a sentence that says what differs and what to do. */
int descriptor_take(struct module *m, struct buf *error);
/* Would the counters of a module of that name be called as the server's own are? */
bool descriptor_name_is_taken(const char *name);

#endif
