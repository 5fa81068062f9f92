/* look.c - what the module has left behind: the log, counters, zones. The log goes to a file in memory and is taken
 * in line by line. */
#include "kit/kit.h"

#include "base/log.h"
#include "base/mem.h"
#include "module/counter.h"
#include "module/zone.h"
#include "os/fd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct cst *kit_here;

void *kit_grow(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = 2 * n + 16;
    return mem_resize(array, *cap * size);
}

/* ---- The log ---- */

void kit_log_open(struct cst *t)
{
    t->log_fd = memfd_create("log", MFD_CLOEXEC);
    if (t->log_fd < 0)
        kit_die("no memory for the log: %s", strerror(errno));
    log_open(t->log_fd, false);
    log_set_level(LOG_LEVEL_DEBUG);
    log_set_name("test");
}

void kit_log_close(struct cst *t)
{
    kit_log_read(t);
    log_open(STDERR_FILENO, false);
    log_set_level(LOG_LEVEL_INFO);
    fd_close(&t->log_fd);
    buf_free(&t->log_rest);
    free(t->log);
}

/* "2026-11-23T07:21:19.123Z warn test[42]: sentence" without what each run has differently. */
static void add_line(struct cst *t, cs_str line)
{
    const char *level = memchr(line.p, ' ', line.n), *text = memmem(line.p, line.n, "]: ", 3);
    const char *name = level ? memchr(level + 1, ' ', (size_t)(line.p + line.n - level) - 1) : NULL;
    t->log = kit_grow(t->log, t->nlog, &t->cap_log, sizeof *t->log);
    if (name && text && name < text)
        t->log[t->nlog++] = arena_printf(&t->arena, "%.*s %.*s", (int)(name - level) - 1, level + 1,
                                         (int)(line.p + line.n - text) - 3, text + 3);
    else
        t->log[t->nlog++] = arena_dup(&t->arena, line);
    if (getenv("CST_LOG"))
        fprintf(stderr, "%.*s\n", CS_F(line));
}

void kit_log_read(struct cst *t)
{
    char piece[4096], *end;
    ssize_t n;
    while ((n = pread(t->log_fd, piece, sizeof piece, t->log_read)) > 0) {
        buf_add(&t->log_rest, piece, (size_t)n);
        t->log_read += n;
    }
    while (t->log_rest.n && (end = memchr(t->log_rest.p, '\n', t->log_rest.n))) {
        size_t len = (size_t)(end - t->log_rest.p);
        add_line(t, (cs_str){t->log_rest.p, len});
        buf_consume(&t->log_rest, len + 1);
    }
}

cs_str cst_log(struct cst *t, size_t i)
{
    kit_log_read(t);
    return i < t->nlog ? t->log[i] : (cs_str){0};
}

int cst_logged(struct cst *t, const char *text)
{
    kit_log_read(t);
    for (size_t i = 0; i < t->nlog; i++)
        if (memmem(t->log[i].p, t->log[i].n, text, strlen(text)))
            return 1;
    return 0;
}

/* A sentence of the kit itself: the test cannot go on. */
void kit_die(const char *fmt, ...)
{
    va_list ap;
    struct cst *t = kit_here;
    fflush(stdout);
    fputs("cst: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("\n", stderr);
    if (t && t->log_fd >= 0)
        kit_log_read(t);
    if (t)
        t->log_shown = true;
    for (size_t i = 0; t && i < t->nlog; i++)
        fprintf(stderr, "  log: %.*s\n", CS_F(t->log[i]));
    abort();
}

/* ---- What a module declares ---- */

/* The module that "NAME.thing" is of, and the thing; without a dot the first one. */
static const cs_module *owner_of(const struct cst *t, const char **name)
{
    const char *dot = strchr(*name, '.');
    cs_str module = {*name, dot ? (size_t)(dot - *name) : 0};
    if (!dot)
        return t->settings.descs[0];
    for (size_t i = 0; i < t->settings.n; i++)
        if (str_is(module, t->settings.descs[i]->name)) {
            *name = dot + 1;
            return t->settings.descs[i];
        }
    kit_die("%s: there is no such module in this test", *name);
}

uint64_t cst_counter(struct cst *t, const char *name)
{
    const cs_module *desc = owner_of(t, &name);
    for (const cs_counter_def *d = desc->counters; d && d->name; d++)
        if (strcmp(d->name, name) == 0)
            return counter_sum(*d->ref);
    kit_die("the module %s has no counter \"%s\"", desc->name, name);
}

void *cst_zone(struct cst *t, const char *name)
{
    const cs_module *desc = owner_of(t, &name);
    for (const cs_zone_def *d = desc->zones; d && d->name; d++)
        if (strcmp(d->name, name) == 0)
            return zone_data(*d->ref);
    kit_die("the module %s has no zone \"%s\"", desc->name, name);
}
