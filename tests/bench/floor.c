/* floor.c - the least a web server can cost: a bare epoll loop that knows nothing of HTTP but where
 * a request ends. Everybody in the benchmark is compared to it, nobody is meant to use it.
 *
 *   floor PORT SIZE [FILE]
 *
 * One process, one accept per event. What one recv brings is searched for CRLFCRLF; each one found
 * is a request and gets the same prebuilt answer with SIZE bytes of body. Without FILE head and
 * body lie in memory, and the answers to a pipelined batch leave in one send; with FILE the body is
 * sent from it with sendfile. A request that carries "Connection: close" is answered and the
 * connection closed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    BATCH = 64,
    TAIL = 3,
    IN = 32768
};

struct client {
    int fd;
    unsigned owed; /* answers not yet sent completely */
    size_t sent;   /* bytes of the first of them that have left */
    bool last;     /* close when nothing is owed */
    size_t ntail;  /* bytes kept from the previous recv: a terminator may be split */
    char tail[TAIL];
};

static char head[2][512]; /* [1]: of the last answer on a connection; both of one size */
static size_t nhead, nbody;
static char *answers[2]; /* BATCH answers in a row, when the body lies in memory */
static int file = -1, loop;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static size_t answer_size(void)
{
    return nhead + nbody;
}

static void prepare_head(int last)
{
    int n = snprintf(head[last], sizeof head[last],
                     "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: floor\r\n"
                     "Content-Type: text/plain\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                     "ETag: \"0123456789abcdef\"\r\nConnection: %s\r\nContent-Length: %zu\r\n\r\n",
                     last ? "close     " : "keep-alive", nbody);
    nhead = (size_t)n;
}

static void prepare_answers(int last)
{
    prepare_head(last);
    answers[last] = malloc(BATCH * answer_size());
    if (!answers[last])
        die("malloc");
    for (size_t i = 0; i < BATCH; i++) {
        memcpy(answers[last] + i * answer_size(), head[last], nhead);
        memset(answers[last] + i * answer_size() + nhead, 'x', nbody);
    }
}

static void prepare(const char *path)
{
    for (int last = 0; last < 2; last++)
        if (path)
            prepare_head(last);
        else
            prepare_answers(last);
    if (path && (file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        die(path);
}

/* One send for as many answers as are owed. */
static ssize_t send_memory(struct client *c)
{
    unsigned n = c->owed < BATCH ? c->owed : BATCH;
    return send(c->fd, answers[c->last] + c->sent, n * answer_size() - c->sent, MSG_NOSIGNAL);
}

/* The head, or as much of the body as the socket takes; one answer at a time. No MSG_MORE: a head
 * that leaves at once costs the server a quarter less than one that waits for the body's first
 * bytes. */
static ssize_t send_file(struct client *c)
{
    if (c->sent < nhead)
        return send(c->fd, head[c->last] + c->sent, nhead - c->sent, MSG_NOSIGNAL);
    off_t at = (off_t)(c->sent - nhead);
    return sendfile(c->fd, file, &at, answer_size() - c->sent);
}

static void drop(struct client *c)
{
    close(c->fd);
    free(c);
}

/* Sends what is owed; false when the client has been dropped. */
static bool flush(struct client *c)
{
    while (c->owed > 0) {
        ssize_t n = file < 0 ? send_memory(c) : send_file(c);
        if (n < 0 && errno == EAGAIN)
            return true; /* edge-triggered: EPOLLOUT comes by itself */
        if (n <= 0) {
            drop(c);
            return false;
        }
        size_t done = c->sent + (size_t)n;
        c->owed -= (unsigned)(done / answer_size());
        c->sent = done % answer_size();
    }
    if (!c->last)
        return true;
    drop(c);
    return false;
}

/* How many requests end in data? Keeps the rest that may begin a terminator. */
static unsigned count_requests(struct client *c, const char *data, size_t n)
{
    unsigned found = 0;
    const char *p = data, *end = data + n, *hit;
    while ((hit = memmem(p, (size_t)(end - p), "\r\n\r\n", 4)) != NULL) {
        found++;
        p = hit + 4;
    }
    c->ntail = end - p < TAIL ? (size_t)(end - p) : TAIL;
    memcpy(c->tail, end - c->ntail, c->ntail);
    return found;
}

/* Edge-triggered: reads until a recv comes back short. */
static void on_client(struct client *c)
{
    static char in[TAIL + IN];
    ssize_t n;
    do {
        if (c->last) {
            flush(c);
            return;
        }
        n = recv(c->fd, in + TAIL, IN, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            drop(c);
            return;
        }
        if (n > 0) {
            char *data = in + TAIL - c->ntail;
            size_t len = c->ntail + (size_t)n;
            memcpy(data, c->tail, c->ntail);
            c->owed += count_requests(c, data, len);
            c->last = memmem(data, len, "\r\nConnection: close", 19) != NULL;
        }
    } while (flush(c) && n == IN);
}

static void on_listener(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (fd < 0)
        return;
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        die("calloc");
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

static int open_listener(const char *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)atoi(port)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
        die("listen");
    return fd;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4 || atol(argv[2]) < 0) {
        fprintf(stderr, "usage: floor PORT SIZE [FILE]\n");
        return 2;
    }
    nbody = (size_t)atol(argv[2]);
    prepare(argc == 4 ? argv[3] : NULL);
    signal(SIGPIPE, SIG_IGN); /* sendfile has no MSG_NOSIGNAL */
    loop = epoll_create1(EPOLL_CLOEXEC);
    int listener = open_listener(argv[1]);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, got[EVENTS];
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, listener, &ev) < 0)
        die("epoll");
    for (;;) {
        int n = epoll_wait(loop, got, EVENTS, -1);
        for (int i = 0; i < n; i++)
            if (got[i].data.ptr)
                on_client(got[i].data.ptr);
            else
                on_listener(listener);
    }
}
