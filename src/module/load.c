/* load.c - the loader looks before it leaps: what is not an object file never reaches the dynamic linker. */
#include "module/load.h"

#include "base/check.h"
#include "base/mem.h"
#include "config.h"
#include "module/descriptor.h"
#include "module/foreign.h"
#include "module/place.h"
#include "os/dl.h"
#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *module_path(const char *name, cs_str file, const char *folder, const char *prefix)
{
    char *own = file.n ? mem_strndup(file.p, file.n) : mem_printf("%s.so", name);
    char *path = file_join(strchr(own, '/') ? prefix : folder, own);
    free(own);
    return path;
}

char *module_default_folder(void)
{
    char *build = place_build(), *folder;
    if (!build)
        return place_installed(CSERVER_MODULE_DIR);
    folder = file_join(build, "modules");
    free(build);
    return folder;
}

/* ---- Loading ---- */

int module_refuse(const struct module *m, struct buf *error, const char *fmt, ...)
{
    va_list ap;
    buf_printf(error, "%s: ", m->path);
    va_start(ap, fmt);
    buf_vprintf(error, fmt, ap);
    va_end(ap);
    return -1;
}

static int check_object(const struct module *m, struct buf *error)
{
    char start[4] = {0};
    if (pread(m->fd, start, sizeof(start), 0) != (ssize_t)sizeof(start) ||
        memcmp(start, "\177ELF", sizeof(start)) != 0) {
        return module_refuse(
            m, error,
            "not a shared object: build the module with cc -shared -fPIC, and name the "
            ".so file here");
    }
    return 0;
}

static void copy_error(const struct module *m, int err, struct buf *error)
{
    switch (err) {
    case ENOENT:
        module_refuse(m, error, "there is no such file");
        if (m->name)
            buf_printf(error,
                       ": build or install the module, or say where it lies with \"file\" in "
                       "[module:%s] or \"modules\" in [server]",
                       m->name);
        break;
    case EISDIR:
        module_refuse(m, error, "this is a folder: name the .so file in it");
        break;
    default:
        module_refuse(m, error, "cannot be read: %s", strerror(err));
    }
}

int module_copy(struct module *m, const char *name, const char *path, struct buf *error)
{
    *m = (struct module){
        .name = name ? mem_strdup(name) : NULL, .path = mem_strdup(path), .fd = dl_copy(path)};
    if (m->fd >= 0)
        return 0;
    copy_error(m, -m->fd, error);
    m->fd = -1;
    module_free(m);
    return -1;
}

/* The linker's sentence starts with the name that it was given, the path. */
static int refuse_linker(const struct module *m, const char *why, struct buf *error)
{
    size_t n = strlen(m->path);
    if (strncmp(why, m->path, n) == 0 && why[n] == ':')
        why += n + 1;
    why += strspn(why, " ");
    const char *remedy =
        strstr(why, "undefined symbol")
            ? ": link the module with the library that has it; of cserver it may use only cserver.h"
            : "";
    return module_refuse(m, error, "cannot be loaded: %s%s", why, remedy);
}

/* What a module must not bring is looked for before its own code runs, as far as that can be told then. */
static int open_copy(struct module *m, struct buf *error)
{
    struct dl_objects before;
    struct buf foreign = {0};
    const char *why = NULL;
    int rc = foreign_check_names(m->fd, &foreign);
    if (rc == 0) {
        foreign_begin(&before);
        m->handle = dl_open(m->fd, m->path, &why);
        rc = foreign_check_libraries(&before, &foreign);
    }
    if (rc < 0)
        module_refuse(m, error, "%s", foreign.p);
    else if (!m->handle)
        rc = refuse_linker(m, why, error);
    buf_free(&foreign);
    return rc;
}

/* One that was built for an older minor version has no hook that is newer. */
static void grow(struct module *m)
{
    if (m->desc->size == sizeof *m->desc)
        return;
    m->grown = mem_alloc(sizeof *m->grown);
    memcpy(m->grown, m->desc, m->desc->size);
    m->desc = m->grown;
}

int module_load(struct module *m, struct buf *error)
{
    check(m->fd >= 0 && !m->handle);
    if (check_object(m, error) < 0 || open_copy(m, error) < 0 || descriptor_take(m, error) < 0)
        return -1;
    grow(m);
    return 0;
}

void module_attach(struct module *m, const cs_api *api)
{
    check(m->desc);
    *m->desc->api = api;
}

void module_free(struct module *m)
{
    dl_close(m->handle);
    fd_close(&m->fd);
    free(m->name);
    free(m->path);
    free(m->grown);
    *m = (struct module){.fd = -1};
}
