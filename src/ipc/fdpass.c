/* fdpass.c - one datagram, one descriptor. What does not look like that is refused, and its
 * descriptors are closed, so that a confused peer cannot fill our table. */
#include "ipc/fdpass.h"

#include "os/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Room for more than there should be, so that they are seen and closed. */
#define MAX_FDS 4

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
};

int fdpass_put(int sock, const void *data, size_t len, int fd)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    union control control;
    memset(&control, 0, sizeof(control));
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    for (;;) {
        ssize_t n = sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            return (size_t)n == len ? 0 : -EIO;
        if (errno != EINTR)
            return -errno;
    }
}

static size_t collect_fds(struct msghdr *m, int out[MAX_FDS])
{
    size_t n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t len = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < len && n < MAX_FDS; i++)
            memcpy(&out[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return n;
}

static ssize_t receive(int sock, struct msghdr *m)
{
    for (;;) {
        ssize_t n = recvmsg(sock, m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

int fdpass_get(int sock, void *data, size_t room, size_t *len, int *fd)
{
    struct iovec iov = {.iov_base = data, .iov_len = room};
    union control control;
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = sizeof(control.room)};
    *fd = -1;
    ssize_t n = receive(sock, &m);
    if (n < 0)
        return n == -EAGAIN ? 0 : n == -ECONNRESET ? -EPIPE : (int)n;
    int fds[MAX_FDS];
    size_t nfds = collect_fds(&m, fds);
    if (nfds == 1 && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        *len = (size_t)n;
        *fd = fds[0];
        return 1;
    }
    for (size_t i = 0; i < nfds; i++)
        fd_close(&fds[i]);
    return n == 0 && nfds == 0 ? -EPIPE : -EPROTO;
}

int fdpass_send(int sock, const struct fdpass_msg *msg, int fd)
{
    return fdpass_put(sock, msg, sizeof(*msg), fd);
}

int fdpass_recv(int sock, struct fdpass_msg *msg, int *fd)
{
    size_t n = 0;
    int rc = fdpass_get(sock, msg, sizeof(*msg), &n, fd);
    if (rc != 1 || n == sizeof(*msg))
        return rc;
    fd_close(fd);
    return -EPROTO;
}
