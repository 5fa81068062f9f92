/* shm.h - anonymous shared memory: a memfd mapped MAP_SHARED, so that children inherit it. */
#ifndef OS_SHM_H
#define OS_SHM_H

#include <stddef.h>

/* n bytes, zeroed, aligned to a page, at the same address in every child. NULL with errno set. The
 * memory is reserved now, so that a lack of it is an error here and no SIGBUS later; more than half
 * of the machine's memory is ENOMEM at once. A limit of the size of files does not matter. */
void *shm_new(size_t n, const char *name);
void shm_free(void *p, size_t n);

#endif
