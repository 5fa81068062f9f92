/* foreign.h - does a module bring what the program has already? Two copies of a library in one process do not stay apart:
 * the linker gives the names of the first to both, so the second runs with half of itself. Such a module is refused,
 * whether the copy is a library of its own or was linked into it. */
#ifndef MODULE_FOREIGN_H
#define MODULE_FOREIGN_H

#include "base/buf.h"
#include "os/dl.h"

/* Before loading: does the object define names that the program's libraries define too? 0, or -1 with *why, which goes on
 * behind the module's path. What is no object at all is left to the linker. */
int foreign_check_names(int fd, struct buf *why);
/* Around loading: 0, or -1 when one of the libraries that are there now and were not before is another copy. */
void foreign_begin(struct dl_objects *before);
int foreign_check_libraries(struct dl_objects *before, struct buf *why); /* frees the list */

#endif
