/* names.h - the names in a folder, read on a thread: nothing here calls the server. */
#ifndef STATIC_NAMES_H
#define STATIC_NAMES_H

#include "conf.h"

struct name {
    const char *text;
    size_t n;
    _Bool is_folder;
    int64_t size;
    int64_t mtime;
};

struct names {
    struct name *v;
    size_t n;
    size_t most;  /* no more are kept */
    _Bool more;   /* there are more than that */
    _Bool hidden; /* names with a dot at their start, too */
    _Bool links;  /* links that stay below the root, too */
    int root;     /* a descriptor; names_free closes it */
    int folder;   /* opened here; -1: not */
    cs_str path;  /* of the folder, below the root */
};

/* Reads and sorts them: folders first, then by their bytes. Only what a client could ask for: files and folders whose names are
 * UTF-8 without control bytes. 0 or -errno. */
int names_read(struct names *l);
void names_free(struct names *l);

#endif
