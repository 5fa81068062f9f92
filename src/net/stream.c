#include "net/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t stream_recv(struct stream *s, void *to, size_t n)
{
    ssize_t got;
    do
        got = recv(s->fd, to, n, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t send_all(struct stream *s, const struct iovec *v, int n)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)n};
    return sendmsg(s->fd, &msg, MSG_NOSIGNAL);
}

ssize_t stream_send(struct stream *s, const struct iovec *v, int n)
{
    ssize_t sent;
    do
        sent = n == 1 ? send(s->fd, v->iov_base, v->iov_len, MSG_NOSIGNAL) : send_all(s, v, n);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

ssize_t stream_send_file(struct stream *s, int file, uint64_t *off, size_t n)
{
    off_t at = (off_t)*off;
    ssize_t sent;
    do
        sent = sendfile(s->fd, file, &at, n);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return -errno;
    *off = (uint64_t)at;
    return sent;
}

int stream_unsent(const struct stream *s)
{
    int n = 0;
    return ioctl(s->fd, SIOCOUTQ, &n) < 0 ? -errno : n;
}

void stream_shut(struct stream *s)
{
    shutdown(s->fd, SHUT_WR);
}

void stream_reset(struct stream *s)
{
    struct linger at_once = {.l_onoff = 1};
    if (s->fd >= 0)
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    stream_close(s);
}

void stream_close(struct stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}
