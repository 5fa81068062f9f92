/* dl.h - shared objects. */
#ifndef OS_DL_H
#define OS_DL_H

/* Copies the file at `path` into a memfd: what is loaded from it is private, whatever happens to
 * the file. The descriptor, or -errno; -EFBIG above 256 MiB. */
int dl_copy(const char *path);
/* dlopen (RTLD_NOW | RTLD_LOCAL) of such a copy through /proc/self/fd. NULL with *error the
 * linker's sentence
 * (`name` in place of the /proc path), valid until the next call. */
void *dl_open(int fd, const char *name, const char **error);
void *dl_symbol(void *handle, const char *name);
void dl_close(void *handle);

#endif
