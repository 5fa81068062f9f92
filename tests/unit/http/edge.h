/* edge.h - puts bytes flush against an unreadable page, so that a parser that reads one byte too
 * many dies at once; and the small things every table test of this folder needs. */
#ifndef TESTS_UNIT_HTTP_EDGE_H
#define TESTS_UNIT_HTTP_EDGE_H

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct edge {
    char *pages;
    size_t room; /* readable bytes before the page nobody may read */
};

static inline struct edge edge_open(size_t room)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct edge e = {.room = (room + page - 1) / page * page};
    e.pages = mmap(NULL, e.room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (e.pages == MAP_FAILED || mprotect(e.pages + e.room, page, PROT_NONE) < 0)
        abort();
    return e;
}

static inline void edge_close(struct edge *e)
{
    munmap(e->pages, e->room + (size_t)sysconf(_SC_PAGESIZE));
    e->pages = NULL;
}

/* A copy whose last byte is the last one that can be read. Overwrites the previous copy. */
static inline cs_str edge_put(struct edge *e, cs_str s)
{
    if (s.n > e->room)
        abort();
    char *at = e->pages + e->room - s.n;
    memset(e->pages, 0x5a, e->room - s.n);
    if (s.n > 0)
        memcpy(at, s.p, s.n);
    return (cs_str){at, s.n};
}

/* Fails with a sentence when the two differ. */
static inline void expect_text(const char *label, const char *what, const char *got,
                               const char *want)
{
    if (strcmp(got, want) != 0)
        fail_msg("row \"%s\", %s: got \"%s\", expected \"%s\"", label, what, got, want);
}

#endif
