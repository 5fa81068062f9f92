/* sock_unix.c - see sock_unix.h. */
#include "os/sock_unix.h"

#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The address of a unix socket. A path that is too long goes by way of its opened folder, which
 * *dir keeps open until the address has been used. */
static int unix_addr(const char *path, struct sockaddr_un *out, int *dir)
{
    size_t room = sizeof(out->sun_path);
    *dir = -1;
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    if (strlen(path) < room) {
        memcpy(out->sun_path, path, strlen(path));
        return 0;
    }
    char *folder = file_dirname(path);
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return -errno;
    int n = snprintf(out->sun_path, room, "/proc/self/fd/%d/%s", fd, strrchr(path, '/') + 1);
    if (n < 0 || (size_t)n >= room) {
        fd_close(&fd);
        return -ENAMETOOLONG;
    }
    *dir = fd;
    return 0;
}

static int connect_to(const struct sockaddr_un *un, int flags)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)(const void *)un, sizeof(*un)) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

/* A socket file that refuses connections is left over from a server that died. */
static bool is_stale(const struct sockaddr_un *un)
{
    struct stat st;
    if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = connect_to(un, SOCK_NONBLOCK);
    if (fd >= 0) {
        fd_close(&fd);
        return false;
    }
    return fd == -ECONNREFUSED;
}

/* The file is born with its mode: a chmod afterwards could meet a link that somebody has put in its place. */
static int bind_file(int fd, const struct sockaddr_un *un, unsigned mode)
{
    mode_t mask = umask(~(mode_t)mode & 0777);
    int rc = bind(fd, (const struct sockaddr *)(const void *)un, sizeof(*un)) < 0 ? -errno : 0;
    umask(mask);
    return rc;
}

static int unix_bind(int fd, const struct sockaddr_un *un, unsigned mode)
{
    int rc = bind_file(fd, un, mode);
    if (rc == -EADDRINUSE && is_stale(un)) {
        unlink(un->sun_path);
        rc = bind_file(fd, un, mode);
    }
    if (rc == 0 && listen(fd, SOMAXCONN) < 0)
        rc = -errno;
    return rc;
}

int sock_unix_listen(const char *path, unsigned mode)
{
    struct sockaddr_un un;
    int dir, rc = unix_addr(path, &un, &dir);
    if (rc < 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    rc = fd < 0 ? -errno : unix_bind(fd, &un, mode);
    fd_close(&dir);
    if (rc < 0) {
        fd_close(&fd);
        return rc;
    }
    return fd;
}

int sock_unix_connect(const char *path)
{
    struct sockaddr_un un;
    int dir, rc = unix_addr(path, &un, &dir);
    if (rc < 0)
        return rc;
    int fd = connect_to(&un, 0);
    fd_close(&dir);
    return fd;
}

int sock_unix_peer(int fd, int *pid, unsigned *uid, unsigned *gid)
{
    struct ucred cred;
    socklen_t n = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
        return -errno;
    *pid = cred.pid;
    *uid = cred.uid;
    *gid = cred.gid;
    return 0;
}

int sock_unix_set_mode(const char *path, unsigned mode)
{
    char name[32];
    struct stat st;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc = 0;
    if (fd < 0)
        return -errno;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        rc = -ENOTSOCK;
    else if ((st.st_mode & 0777) != mode && chmod(name, mode) < 0)
        rc = -errno;
    fd_close(&fd);
    return rc;
}
