#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The way is in the kernel's memory, and does not leave the file system, of which it is known that opening then takes no
 * time. Headers of older kernels do not have the first. */
#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif
#define NO_WAIT (RESOLVE_CACHED | RESOLVE_NO_XDEV)

enum {
    TRIES = 100 /* a rename elsewhere in the tree makes the kernel ask for another one */
};

/* The next name of z, which ends there; *rest: what is behind it. Empty ones and "." are skipped. NULL at the end. */
static char *next_name(char *z, char **rest)
{
    char *name;
    do {
        name = z + strspn(z, "/");
        z = strchrnul(name, '/');
        if (*z)
            *z++ = '\0';
    } while (!strcmp(name, "."));
    *rest = z;
    return *name ? name : NULL;
}

static int open_one(int at, const char *name, int flags)
{
    struct stat st;
    if (!strcmp(name, ".."))
        return -EXDEV;
    const int fd = openat(at, name, flags | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (!(flags & O_PATH) || (fstat(fd, &st) == 0 && !S_ISLNK(st.st_mode)))
        return fd;
    close(fd);
    return -ELOOP;
}

/* Name by name. A "/" at the end asks for a folder. */
static int walk(int folder, char *z, int flags)
{
    const size_t n = strlen(z);
    if (n && z[n - 1] == '/')
        flags |= O_DIRECTORY;
    char *name = next_name(z, &z);
    int at = folder;
    if (!name)
        return open_one(folder, ".", flags);
    while (at >= 0 && name) {
        char *next = next_name(z, &z);
        const int to = open_one(at, name, next ? O_PATH | O_DIRECTORY | O_CLOEXEC : flags);
        if (at != folder)
            close(at);
        at = to;
        name = next;
    }
    return at;
}

int beneath_open(int folder, cs_str path, int flags, unsigned how_to)
{
    char z[PATH_MAX];
    struct open_how how = {.flags = (uint32_t)(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
                                      (how_to & BENEATH_NO_LINKS ? RESOLVE_NO_SYMLINKS : 0) |
                                      (how_to & BENEATH_NO_WAIT ? NO_WAIT : 0)};
    if (flags & O_PATH)
        how.flags = O_PATH | O_CLOEXEC;
    while (path.n && path.p[0] == '/')
        path = (cs_str){path.p + 1, path.n - 1};
    if (path.n >= sizeof z)
        return -ENAMETOOLONG;
    if (memchr(path.p, '\0', path.n))
        return -EINVAL;
    memcpy(z, path.p, path.n);
    z[path.n] = '\0';
    long fd = -1;
    for (int i = 0; i < TRIES; i++) {
        fd = syscall(SYS_openat2, folder, path.n ? z : ".", &how, sizeof how);
        if (fd >= 0 || how_to & BENEATH_NO_WAIT || (errno != EAGAIN && errno != EINTR))
            break;
    }
    if (fd >= 0)
        return (int)fd;
    /* What the kernel says of a way that it has not gone to its end, or of flags that it does not know. */
    const int unsure =
        errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EPERM || errno == EINTR;
    if (how_to & BENEATH_NO_WAIT)
        return unsure ? -EAGAIN : -errno;
    /* EPERM: a sandbox that does not know the call, or the file; the walk finds out. */
    return errno == ENOSYS || errno == EPERM ? walk(folder, z, (int)how.flags) : -errno;
}
