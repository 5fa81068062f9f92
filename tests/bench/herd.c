/* herd.c - the two textbook ways to wait for one listener from several processes, without any care: what the others
 * in make bench-accept do better can only be seen beside them.
 *
 *   herd PORT WORKERS plain|exclusive BUSY_US
 *
 * plain: each worker watches the listener with epoll, and the kernel wakes them all. exclusive: with
 * EPOLLEXCLUSIVE, and the kernel wakes one that sleeps, by an order that never changes. Whoever wakes accepts one
 * connection, reads the request, computes for BUSY_US, answers with its pid and closes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t busy_us;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int open_listener(const char *port)
{
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)atoi(port)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
        die("listen");
    return fd;
}

static void answer(int fd)
{
    char in[4096], body[16], out[256];
    if (recv(fd, in, sizeof in, 0) <= 0)
        return;
    for (const int64_t end = now_us() + busy_us; now_us() < end;)
        ;
    int n = snprintf(body, sizeof body, "%d\n", (int)getpid());
    n = snprintf(out, sizeof out,
                 "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", n, body);
    if (send(fd, out, (size_t)n, MSG_NOSIGNAL) != n)
        perror("send");
}

static void work(int listener, uint32_t how)
{
    struct epoll_event ev = {.events = EPOLLIN | how};
    int loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, listener, &ev) < 0)
        die("epoll");
    for (;;) {
        epoll_wait(loop, &ev, 1, -1);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        answer(fd);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: herd PORT WORKERS plain|exclusive BUSY_US\n");
        return 2;
    }
    busy_us = atol(argv[4]);
    const int listener = open_listener(argv[1]);
    const uint32_t how = strcmp(argv[3], "exclusive") ? 0 : EPOLLEXCLUSIVE;
    for (int i = atoi(argv[2]); i > 0; i--) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            work(listener, how);
        }
    }
    while (wait(NULL) > 0)
        ;
    return 0;
}
