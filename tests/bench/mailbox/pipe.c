/* pipe.c - a pipe to each receiver: a length and the payload by writev, and whatever has come in one read. That is the
 * best case for pipes: with several senders only messages of up to 4 KiB would stay whole. */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int pipes[WIRE_RECEIVERS][2], npipes, mine = -1;
static uint64_t written;

static void make(int receivers)
{
    for (npipes = 0; npipes < receivers; npipes++)
        if (pipe2(pipes[npipes], O_NONBLOCK | O_CLOEXEC) < 0)
            wire_die("pipe");
}

static void begin_receiver(int i)
{
    mine = pipes[i][0];
}

static void begin_sender(void)
{
}

static void skip(struct iovec *parts, size_t n)
{
    for (int i = 0; i < 2; i++) {
        size_t part = n < parts[i].iov_len ? n : parts[i].iov_len;
        parts[i].iov_base = (char *)parts[i].iov_base + part;
        parts[i].iov_len -= part;
        n -= part;
    }
}

static void send_to(int fd, struct iovec *parts)
{
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        written++;
        ssize_t n = writev(fd, parts, 2);
        if (n >= 0)
            skip(parts, (size_t)n);
        else if (errno == EAGAIN || errno == EINTR)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else
            wire_die("writev");
    }
}

static void send_all(const void *data, size_t len)
{
    uint64_t head = len;
    for (int i = 0; i < npipes; i++) {
        struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)data, len}};
        send_to(pipes[i][1], parts);
    }
}

static void finish(void)
{
}

static void turn(bool sleep)
{
    static char in[2 * WIRE_MAX];
    static size_t used;
    size_t at = 0;
    uint64_t len;
    poll(&(struct pollfd){.fd = mine, .events = POLLIN}, 1, sleep ? -1 : 0);
    ssize_t n = read(mine, in + used, sizeof(in) - used);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        wire_die("read");
    used += (size_t)n;
    for (; used - at >= sizeof(len); at += sizeof(len) + len) {
        memcpy(&len, in + at, sizeof(len));
        if (used - at - sizeof(len) < len)
            break;
        wire_message(in + at + sizeof(len), len);
    }
    memmove(in, in + at, used - at);
    used -= at;
}

static uint64_t calls(void)
{
    return written;
}

const struct wire wire_pipe = {.name = "pipe",
                               .make = make,
                               .begin_receiver = begin_receiver,
                               .begin_sender = begin_sender,
                               .send = send_all,
                               .finish = finish,
                               .turn = turn,
                               .calls = calls};
