#include "net/reach.h"

#include "os/fd.h"

#include <errno.h>

int reach(const struct sock_addr *a, int *fd, const char **why)
{
    const struct sockaddr *sa = &a->u.sa;
    *fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = *fd < 0 || connect(*fd, sa, a->len) < 0 ? -errno : 0;
    if (rc == -EINTR)
        rc = -EINPROGRESS; /* it goes on */
    if (rc == 0 || rc == -EINPROGRESS)
        return rc;
    fd_close(fd);
    *why = strerror(-rc);
    return rc;
}
