/* inspect.h - a module's file, looked at from all sides: its bytes as they are, and its descriptor, in a process of its
 * own. */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "base/buf.h"
#include "module/load.h"

enum finding_kind {
    FINDING_GOOD,
    FINDING_NOTE,
    FINDING_WARNING,
    FINDING_ERROR /* the server would refuse it */
};

struct finding {
    enum finding_kind kind;
    char *about; /* "symbols", "hardening" ... */
    char *text;  /* for warnings and errors with the remedy */
};

struct inspection {
    char *path;
    size_t n;
    struct finding *v;
    unsigned errors, warnings;
    /* NULL where it could not be loaded. */
    char *name, *version, *help, *abi;
    char *hooks;        /* "access, on_log"; "" = none */
    bool handles, used; /* it has a handler; one of the hooks that `use` is for */
};

void inspect(struct inspection *i, const char *path);
void inspection_free(struct inspection *i);
/* Its first error; NULL where it has none. */
const char *inspection_error(const struct inspection *i);
/* Of a descriptor: "handler, worker_start". */
void inspect_hooks(const cs_module *d, struct buf *out);

#endif
