#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    TRIES = 100 /* a rename elsewhere in the tree makes the kernel ask for another one */
};

int beneath_open(int folder, cs_str path, int flags, _Bool links)
{
    char z[PATH_MAX];
    struct open_how how = {.flags = (uint32_t)(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
                                      (links ? 0 : RESOLVE_NO_SYMLINKS)};
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
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}
