/* mem.h - the heap. These calls succeed or the process ends with a sentence; nobody checks for
 * NULL. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/str.h"

void *mem_alloc(size_t n); /* zeroed */
void *mem_resize(void *p, size_t n);
char *mem_strdup(const char *z);
char *mem_strndup(const char *p, size_t n); /* NUL-terminated copy */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
