/* foreign.h - names that the variables of other servers have, and what they are called here. */
#ifndef HTTP_FOREIGN_H
#define HTTP_FOREIGN_H

#include "base/buf.h"

/* Appends our name for it, such as "target" or "header.x-a"; false: it is none that operators know. */
bool foreign_name(cs_str name, struct buf *out);

#endif
