/* describe.h - what a module's descriptor says, for people and for programs. */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include "base/buf.h"

enum describe_as {
    DESCRIBE_TEXT,
    DESCRIBE_MD, /* its section of docs/cserver.ini.md, and the rest in the same manner */
    DESCRIBE_JSON
};

void describe_module(const cs_module *d, const char *path, enum describe_as as, struct buf *out);

#endif
