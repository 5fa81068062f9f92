/* dl.c - modules are loaded from private, sealed copies: a file that is overwritten by the next
 * build changes nothing in a running server. */
#include "os/dl.h"

#include "base/mem.h"
#include "os/fd.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SEALS     (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define NAME_BITS 16
#define COPY_MAX  (256 << 20)

/* Since 6.3 a memfd may have to be made executable by name; older kernels do not know the flag. */
static int new_memfd(void)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("module", flags | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("module", flags);
    return fd < 0 ? -errno : fd;
}

/* The copy is memory: a file that is no module, or grows while it is read, must not eat it up. */
static int copy(int from, int to)
{
    for (ssize_t total = 0; total <= COPY_MAX;) {
        ssize_t n = sendfile(to, from, NULL, 1 << 20);
        if (n == 0)
            return fcntl(to, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        total += n > 0 ? n : 0;
    }
    return -EFBIG;
}

static int copy_of(int from)
{
    struct stat st;
    if (fstat(from, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    if (st.st_size > COPY_MAX)
        return -EFBIG;
    int to = new_memfd();
    int rc = to < 0 ? to : copy(from, to);
    if (rc < 0) {
        fd_close(&to);
        return rc;
    }
    return to;
}

int dl_copy(const char *path)
{
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (from < 0)
        return -errno;
    int to = copy_of(from);
    fd_close(&from);
    return to;
}

/* The linker takes a path that it has seen for the object that it has loaded, but descriptor
 * numbers are used again. So every path is spelt differently: a counter in its slashes and dots. */
static void unique_path(int fd, char *out, size_t n)
{
    static unsigned counter;
    char digits[2 * NAME_BITS + 1];
    counter++;
    for (unsigned i = 0; i < NAME_BITS; i++)
        memcpy(digits + (size_t)2 * i, counter >> i & 1 ? "/." : "//", 2);
    digits[2 * NAME_BITS] = '\0';
    snprintf(out, n, "/proc/self/fd%s/%d", digits, fd);
}

/* The linker's sentence with `name` where it says `path`. */
static const char *error_of(const char *path, const char *name)
{
    static char text[512];
    const char *said = dlerror();
    if (!said)
        said = "unknown error of the dynamic linker";
    const char *at = strstr(said, path);
    if (at)
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - said), said, name, at + strlen(path));
    else
        snprintf(text, sizeof(text), "%s", said);
    return text;
}

void *dl_open(int fd, const char *name, const char **error)
{
    char path[64 + 2 * NAME_BITS];
    unique_path(fd, path, sizeof(path));
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *error = handle ? NULL : error_of(path, name);
    return handle;
}

void *dl_symbol(void *handle, const char *name)
{
    return dlsym(handle, name);
}

void dl_close(void *handle)
{
    if (handle)
        dlclose(handle);
}

/* ---- What is loaded ---- */

static int add_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct dl_objects *l = arg;

    (void)size;
    if (!info->dlpi_name || !strchr(info->dlpi_name, '/'))
        return 0; /* the program has no name, and what the kernel brings no path */
    l->v = mem_resize(l->v, (l->n + 1) * sizeof *l->v);
    l->v[l->n++] = (struct dl_object){.path = mem_strdup(info->dlpi_name), .base = info->dlpi_phdr};
    return 0;
}

void dl_list(struct dl_objects *out)
{
    *out = (struct dl_objects){.n = 0};
    dl_iterate_phdr(add_object, out);
}

void dl_list_free(struct dl_objects *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].path);
    free(l->v);
    *l = (struct dl_objects){.n = 0};
}

bool dl_list_has(const struct dl_objects *l, const struct dl_object *o)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i].base == o->base)
            return true;
    return false;
}

const char *dl_definer(const char *symbol)
{
    void *at = dlsym(RTLD_DEFAULT, symbol);
    Dl_info info;

    if (!at)
        return NULL;
    return dladdr(at, &info) && info.dli_fname ? info.dli_fname : "";
}
