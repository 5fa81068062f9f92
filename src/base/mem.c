/* mem.c - a server that cannot get a few bytes cannot go on: it says so and ends. What may be large
 * because of a client (bodies, heads) is bounded before it comes here. */
#include "base/mem.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define EXIT_NO_MEMORY 71 /* EX_OSERR of sysexits.h */

static _Noreturn void out_of_memory(size_t n)
{
    fatal(EXIT_NO_MEMORY, "out of memory: %zu bytes are not to be had", n);
}

void *mem_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        out_of_memory(n);
    return p;
}

void *mem_resize(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q)
        out_of_memory(n);
    return q;
}

char *mem_strdup(const char *z)
{
    return mem_strndup(z, strlen(z));
}

char *mem_strndup(const char *p, size_t n)
{
    char *copy = malloc(n + 1);
    if (!copy)
        out_of_memory(n + 1);
    if (n)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;
    char *out = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&out, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory(0);
    return out;
}
