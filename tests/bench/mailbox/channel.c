/* channel.c - socket channels as nginx has them between its processes: a pair of unix sockets for each pair of
 * processes, a struct of 32 bytes by sendmsg, one for each message and receiver. Two things are unlike nginx: the struct
 * may be followed by a payload (so the sockets keep the borders of messages), and a sender that finds the channel full
 * waits, where nginx drops the message. */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct command {
    uint64_t command, pid;
    int64_t slot;
    uint32_t len, spare;
};
_Static_assert(sizeof(struct command) == 32, "as in a channel of nginx");

static int channels[WIRE_RECEIVERS][2], nchannels, mine = -1;
static uint64_t written;

static void make(int receivers)
{
    for (nchannels = 0; nchannels < receivers; nchannels++)
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                       channels[nchannels]) < 0)
            wire_die("socketpair");
}

static void begin_receiver(int i)
{
    mine = channels[i][1];
}

static void begin_sender(void)
{
}

static void send_to(int fd, struct msghdr *m)
{
    for (;;) {
        written++;
        if (sendmsg(fd, m, MSG_NOSIGNAL) >= 0)
            return;
        if (errno != EAGAIN && errno != EINTR)
            wire_die("sendmsg");
        poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
    }
}

static void send_all(const void *data, size_t len)
{
    struct command c = {.command = 1, .len = (uint32_t)len};
    struct iovec parts[2] = {{&c, sizeof(c)}, {(void *)(uintptr_t)data, len}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    for (int i = 0; i < nchannels; i++)
        send_to(channels[i][0], &m);
}

static void finish(void)
{
}

/* Reads until the channel is empty. */
static void turn(bool sleep)
{
    static char data[WIRE_MAX];
    struct command c;
    poll(&(struct pollfd){.fd = mine, .events = POLLIN}, 1, sleep ? -1 : 0);
    for (;;) {
        struct iovec parts[2] = {{&c, sizeof(c)}, {data, sizeof(data)}};
        struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t n = recvmsg(mine, &m, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < (ssize_t)sizeof(c) || (size_t)n != sizeof(c) + c.len)
            wire_die("recvmsg");
        wire_message(data, c.len);
    }
}

static uint64_t calls(void)
{
    return written;
}

const struct wire wire_channel = {.name = "channel",
                                  .make = make,
                                  .begin_receiver = begin_receiver,
                                  .begin_sender = begin_sender,
                                  .send = send_all,
                                  .finish = finish,
                                  .turn = turn,
                                  .calls = calls};
