/* dl.h - shared objects. */
#ifndef OS_DL_H
#define OS_DL_H

#include <stdbool.h>
#include <stddef.h>

/* Copies the file at `path` into a memfd: what is loaded from it is private, whatever happens to
 * the file. The descriptor, or -errno; -EFBIG above 256 MiB. */
int dl_copy(const char *path);
/* dlopen (RTLD_NOW | RTLD_LOCAL) of such a copy through /proc/self/fd. NULL with *error the
 * linker's sentence
 * (`name` in place of the /proc path), valid until the next call. */
void *dl_open(int fd, const char *name, const char **error);
void *dl_symbol(void *handle, const char *name);
void dl_close(void *handle);

/* What is loaded in this process right now: libraries, modules, and what came with them; not the program itself, nor what
 * the kernel brings. */
struct dl_object {
    char *path;       /* as the linker found it */
    const void *base; /* where it lies: no two share it */
};
struct dl_objects {
    size_t n;
    struct dl_object *v;
};
void dl_list(struct dl_objects *out);
void dl_list_free(struct dl_objects *l);
bool dl_list_has(const struct dl_objects *l, const struct dl_object *o);

/* The path of what defines that name for all: the program ("") or a library that was loaded with it. NULL: nobody
 * does. */
const char *dl_definer(const char *symbol);

#endif
