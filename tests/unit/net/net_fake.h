/* net_fake.h - a loop, names that are answered as the test says, and servers that the test plays itself, step by step. */
#ifndef UNIT_NET_NET_FAKE_H
#define UNIT_NET_NET_FAKE_H

#include "base/clock.h"
#include "base/mem.h"
#include "net/names.h"
#include "os/fd.h"
#include "os/sock_addr.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_S 30

static struct loop loop;

/* One turn, as processes do it; returns the number of descriptors that were ready. */
static inline int turn(int max_ms)
{
    int n = loop_wait(&loop, max_ms);
    loop_dispatch(&loop);
    loop_run_timers(&loop);
    loop_reap(&loop);
    return n;
}

/* Turns until nothing happens any more, for what is between two processes on one machine. */
static inline void settle(void)
{
    for (int quiet = 0; quiet < 3;)
        quiet = turn(1) == 0 && list_empty(&loop.tasks) ? quiet + 1 : 0;
}

/* The clock of the machine, though that of the server may stand still. */
static inline time_t seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        time_t until_ = seconds() + DEADLINE_S;                                                    \
        while (!(cond)) {                                                                          \
            turn(5);                                                                               \
            if (seconds() > until_)                                                                \
                fail_msg("%s:%d: waited in vain: %s", __FILE__, __LINE__, #cond);                  \
        }                                                                                          \
    } while (0)

/* Time goes on by itself no more. */
static inline void advance(uint64_t ms)
{
    clock_advance(ms);
    turn(0);
    turn(0);
}

static inline unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* ---- Servers ---- */

static inline struct sock_addr local(uint16_t port)
{
    struct sock_addr a = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a.u;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static inline uint16_t port_of(int fd)
{
    struct sock_addr a = {0};
    assert_int_equal(sock_addr_of(fd, &a), 0);
    return ntohs(((struct sockaddr_in *)(void *)&a.u)->sin_port);
}

/* Bound to a port of its own; backlog -1: it does not listen, so it refuses. */
static inline int server_new(int backlog, uint16_t *port)
{
    struct sock_addr a = local(0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &a.u.sa, a.len), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    *port = port_of(fd);
    return fd;
}

#define FILLERS 4

/* A server whose queue is full: it drops what comes, so who connects hears nothing. */
struct silent {
    int fd, fillers[FILLERS];
    uint16_t port;
};

static inline void silent_open(struct silent *s)
{
    s->fd = server_new(0, &s->port);
    struct sock_addr a = local(s->port);
    for (int i = 0; i < FILLERS; i++) {
        s->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(s->fillers[i], &a.u.sa, a.len);
    }
    struct pollfd last = {.fd = s->fillers[FILLERS - 1], .events = POLLOUT};
    assert_int_equal(poll(&last, 1, 100), 0);
}

static inline void silent_close(struct silent *s)
{
    fd_close(&s->fd);
    for (int i = 0; i < FILLERS; i++)
        fd_close(&s->fillers[i]);
}

/* The next connection that has been made to it. */
static inline int server_accept(int fd)
{
    int got = -1;
    UNTIL((got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return got;
}

static inline bool nobody_comes(int fd)
{
    settle();
    int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (got >= 0)
        close(got);
    return got < 0;
}

static inline void say(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = sendto(fd, p, n, MSG_NOSIGNAL, NULL, 0); /* tests may replace send */
        if (sent < 0 && errno == EAGAIN) {
            turn(5);
            continue;
        }
        assert_true(sent > 0);
        p += sent;
        n -= (size_t)sent;
    }
}

static inline void say_z(int fd, const char *z)
{
    say(fd, z, strlen(z));
}

/* Exactly these bytes come. */
static inline void hear(int fd, const char *p, size_t n)
{
    char *got = malloc(n + 1);
    size_t have = 0;
    ssize_t some;
    while (have < n) {
        UNTIL((some = recv(fd, got + have, n - have, 0)) >= 0);
        if (some == 0)
            fail_msg("the connection ended after %zu bytes of %zu", have, n);
        have += (size_t)some;
    }
    assert_memory_equal(got, p, n);
    free(got);
}

static inline void hear_z(int fd, const char *z)
{
    hear(fd, z, strlen(z));
}

static inline bool hears_nothing(int fd)
{
    char byte;
    settle();
    return recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN;
}

/* The other side has closed, or closes. */
static inline void hear_end(int fd)
{
    char byte;
    ssize_t n = -1;
    UNTIL((n = recv(fd, &byte, 1, 0)) >= 0 || errno == ECONNRESET);
    assert_true(n <= 0);
}

static inline void reset(int *fd)
{
    struct linger at_once = {.l_onoff = 1};
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    fd_close(fd);
}

/* ---- Names ---- */

static struct names_found
    fake_found; /* what is answered; ports are those that were asked for, where they are 0 */
static bool fake_later; /* it is not known at once */
static struct names_wait *fake_waits;
static unsigned fake_asked;

static inline void fake_add(uint16_t port)
{
    struct sock_addr a = local(port);
    struct names_address *to = &fake_found.v[fake_found.n++];
    to->addr = a.u.storage;
    to->len = a.len;
}

static inline struct names_found fake_answer(uint16_t port)
{
    struct names_found f = fake_found;
    for (unsigned i = 0; i < f.n; i++) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)&f.v[i].addr;
        if (in->sin_port == 0)
            in->sin_port = htons(port);
    }
    return f;
}

static inline void fake_tell(void)
{
    struct names_wait *w = fake_waits;
    struct names_found f = fake_answer(w->port);
    fake_waits = NULL;
    w->done(w, &f);
}

#ifdef FAKE_NAMES
struct names *names_new(struct loop *l)
{
    (void)l;
    return NULL;
}

void names_free(struct names *n)
{
    (void)n;
}

bool names_find(struct names *n, cs_str host, uint16_t port, struct names_found *f,
                struct names_wait *w)
{
    (void)n;
    (void)host;
    fake_asked++;
    w->port = port;
    if (fake_later) {
        assert_null(fake_waits);
        fake_waits = w;
        return false;
    }
    *f = fake_answer(port);
    return true;
}

void names_drop(struct names_wait *w)
{
    if (fake_waits == w)
        fake_waits = NULL;
}
#endif

static inline void fake_begin(void)
{
    assert_int_equal(loop_init(&loop, 64), 0);
    fake_found = (struct names_found){0};
    fake_later = false;
    fake_waits = NULL;
    fake_asked = 0;
}

#endif
