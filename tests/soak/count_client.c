/* count_client.c - a client that counts strictly: each request it has begun either gets its whole
 * answer or has failed, with a reason. The soak scripts build it and judge the server by it.
 *
 *   count_client [-c CONNECTIONS] [-n REQUESTS] [-d SECONDS] [-w THINK_MS] [-t TIMEOUT_S] [-1] [-s
 * STATUS]
 *                [-b BODY_BYTES] PORT PATH
 *
 *        connected                 answer                      next request, THINK_MS later
 *   CONNECT ------> WAIT (request sent) ------> IDLE -------------------------------------> WAIT
 *                                      `------> LAST (the answer said "Connection: close") ---> end
 * of stream, CONNECT
 *
 * Runs until REQUESTS have been begun, or SECONDS are over, or SIGTERM; then waits for the answers
 * still owed. -1: one request per connection, with "Connection: close". Prints "begun" when the
 * last of REQUESTS has been sent.
 *
 * What counts: an end of stream or a reset where an answer is owed, in whatever state the server
 * was, also when it had just closed an idle connection; a wrong status, length or malformed head; a
 * connection refused; a reset instead of a proper end; TIMEOUT_S without an answer. An idle
 * connection that ends properly is no failure
 * ("ended idle"): HTTP allows it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    HEAD = 8192,
    EVENTS = 256
};
enum state {
    OFF,
    CONNECT,
    WAIT,
    IDLE,
    LAST
};

enum fault {
    REFUSED,
    CONNECT_RESET,
    NO_ANSWER_END,
    NO_ANSWER_RESET,
    CUT_END,
    CUT_RESET,
    IDLE_RESET,
    LAST_RESET,
    BAD_HEAD,
    BAD_STATUS,
    BAD_LENGTH,
    EXTRA_BYTES,
    NOT_CLOSED,
    TIMED_OUT,
    FAULTS
};

static const char *const fault_name[FAULTS] = {
    [REFUSED] = "connection refused",
    [CONNECT_RESET] = "reset while connecting",
    [NO_ANSWER_END] = "closed without an answer",
    [NO_ANSWER_RESET] = "reset without an answer",
    [CUT_END] = "closed within an answer",
    [CUT_RESET] = "reset within an answer",
    [IDLE_RESET] = "reset while idle",
    [LAST_RESET] = "reset instead of an end",
    [BAD_HEAD] = "malformed head",
    [BAD_STATUS] = "wrong status",
    [BAD_LENGTH] = "wrong length",
    [EXTRA_BYTES] = "bytes behind the answer",
    [NOT_CLOSED] = "announced the end but did not close",
    [TIMED_OUT] = "no answer in time",
};

struct client {
    enum state state;
    int fd;
    int64_t
        since; /* us: of the request, of the answer when idle or last, of the failure when off */
    bool in_body;
    int64_t body_left;
    size_t nhead;
    char head[HEAD + 1];
};

static struct options {
    int connections, status, timeout_s;
    int64_t requests, seconds, think_ms, body;
    bool once;
    struct sockaddr_in server;
} opt = {.connections = 16, .status = 200, .timeout_s = 10, .body = -1};

static int loop;
static char request[2048];
static size_t nrequest;
static int64_t begun, answered, faults[FAULTS], connects, announced, ended_idle, longest_us;
static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void drop(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = OFF;
    c->since = now_us();
}

static void fail(struct client *c, enum fault why)
{
    faults[why]++;
    drop(c);
    c->since += 10000; /* a server that refuses is left alone for 10 ms */
}

static bool may_begin(void)
{
    return !stopping && (opt.requests == 0 || begun < opt.requests);
}

static void begin(struct client *c)
{
    begun++;
    c->nhead = 0;
    c->in_body = false;
    c->since = now_us();
    c->state = WAIT;
    ssize_t n = send(c->fd, request, nrequest, MSG_NOSIGNAL);
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
        fail(c, NO_ANSWER_RESET);
    else if (n != (ssize_t)nrequest)
        die("send");
    if (begun == opt.requests) {
        puts("begun");
        fflush(stdout);
    }
}

/* The request counts as begun once the connection stands; a refusal counts as a failure of its own.
 */
static void dial(struct client *c)
{
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl");
    c->state = CONNECT;
    c->since = now_us();
    connects++;
    if (connect(c->fd, (struct sockaddr *)&opt.server, sizeof opt.server) < 0 &&
        errno != EINPROGRESS)
        fail(c, REFUSED);
}

static void on_connected(struct client *c)
{
    int error = 0;
    socklen_t n = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
        die("getsockopt");
    if (error)
        fail(c, error == ECONNREFUSED ? REFUSED : CONNECT_RESET);
    else if (may_begin())
        begin(c);
    else
        drop(c);
}

static const char *field(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = strstr(head, "\r\n"); p; p = strstr(p + 2, "\r\n"))
        if (strncasecmp(p + 2, name, n) == 0 && p[2 + n] == ':')
            return p + 2 + n + 1 + strspn(p + 2 + n + 1, " \t");
    return NULL;
}

static void on_answer(struct client *c)
{
    const char *connection = field(c->head, "connection");
    int64_t now = now_us();
    bool last = connection && strncasecmp(connection, "close", 5) == 0;
    if (now - c->since > longest_us)
        longest_us = now - c->since;
    answered++;
    announced += last;
    c->since = now;
    c->state = last || opt.once ? LAST : IDLE;
}

/* The head is complete and NUL-terminated; `n` bytes of the body are already there. */
static bool on_head(struct client *c, size_t n)
{
    const char *length = field(c->head, "content-length");
    char *end = NULL;
    if (strncmp(c->head, "HTTP/1.1 ", 9) != 0 || !length) {
        fail(c, BAD_HEAD);
        return false;
    }
    c->body_left = strtoll(length, &end, 10);
    if (strtol(c->head + 9, NULL, 10) != opt.status) {
        fail(c, BAD_STATUS);
        return false;
    }
    if (end == length || *end != '\r' || (opt.body >= 0 && c->body_left != opt.body)) {
        fail(c, BAD_LENGTH);
        return false;
    }
    c->in_body = true;
    c->body_left -= (int64_t)n;
    return true;
}

static void take(struct client *c, const char *data, size_t n)
{
    if (c->in_body) {
        c->body_left -= (int64_t)n;
    } else {
        size_t room = HEAD - c->nhead, more = n < room ? n : room;
        memcpy(c->head + c->nhead, data, more);
        c->nhead += more;
        c->head[c->nhead] = '\0';
        char *end = strstr(c->head, "\r\n\r\n");
        if (!end && c->nhead < HEAD)
            return;
        if (!end) {
            fail(c, BAD_HEAD);
            return;
        }
        end[2] = '\0';
        if (!on_head(c, c->nhead + (n - more) - (size_t)(end + 4 - c->head)))
            return;
    }
    if (c->body_left < 0)
        fail(c, EXTRA_BYTES);
    else if (c->body_left == 0)
        on_answer(c);
}

static void on_end(struct client *c, bool reset)
{
    switch (c->state) {
    case WAIT:
        if (c->nhead == 0)
            fail(c, reset ? NO_ANSWER_RESET : NO_ANSWER_END);
        else
            fail(c, reset ? CUT_RESET : CUT_END);
        break;
    case IDLE:
        ended_idle += !reset;
        if (reset)
            fail(c, IDLE_RESET);
        else
            drop(c);
        break;
    default:
        if (reset)
            fail(c, LAST_RESET);
        else
            drop(c);
        break;
    }
}

static void on_readable(struct client *c)
{
    static char data[262144];
    while (c->state == WAIT || c->state == IDLE || c->state == LAST) {
        ssize_t n = recv(c->fd, data, sizeof data, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            on_end(c, n < 0);
        else if (c->state == WAIT)
            take(c, data, (size_t)n);
        else
            fail(c, EXTRA_BYTES);
    }
}

/* What time brings: the next request, the next connection, the end of patience. */
static void on_time(struct client *c, int64_t now)
{
    int64_t spent = now - c->since, patience = (int64_t)opt.timeout_s * 1000000;
    int64_t pause = opt.once ? opt.think_ms * 1000 : 0;
    if (c->state == OFF && spent >= pause && may_begin())
        dial(c);
    else if (c->state == IDLE && !may_begin())
        drop(c);
    else if (c->state == IDLE && spent >= opt.think_ms * 1000)
        begin(c);
    else if ((c->state == WAIT || c->state == CONNECT) && spent > patience)
        fail(c, TIMED_OUT);
    else if (c->state == LAST && spent > patience)
        fail(c, NOT_CLOSED);
}

static int report(void)
{
    int64_t failed = 0;
    for (int i = 0; i < FAULTS; i++)
        failed += faults[i];
    printf("requests %lld, failed %lld\n", (long long)begun, (long long)failed);
    printf("answered: %lld\nconnections: %lld\nannounced ends: %lld\nended idle: %lld\nlongest ms: "
           "%lld\n",
           (long long)answered, (long long)connects, (long long)announced, (long long)ended_idle,
           (long long)(longest_us / 1000));
    for (int i = 0; i < FAULTS; i++)
        if (faults[i])
            printf("failed, %s: %lld\n", fault_name[i], (long long)faults[i]);
    return failed > 0;
}

static void read_options(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "c:n:d:w:t:1s:b:")) != -1) {
        int64_t value = optarg ? atoll(optarg) : 0;
        switch (o) {
        case 'c':
            opt.connections = (int)value;
            break;
        case 'n':
            opt.requests = value;
            break;
        case 'd':
            opt.seconds = value;
            break;
        case 'w':
            opt.think_ms = value;
            break;
        case 't':
            opt.timeout_s = (int)value;
            break;
        case '1':
            opt.once = true;
            break;
        case 's':
            opt.status = (int)value;
            break;
        case 'b':
            opt.body = value;
            break;
        default:
            exit(2);
        }
    }
    if (argc - optind != 2 || opt.connections < 1) {
        fprintf(stderr, "usage: count_client [options] PORT PATH\n");
        exit(2);
    }
    opt.server.sin_family = AF_INET;
    opt.server.sin_port = htons((uint16_t)atoi(argv[optind]));
    opt.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    nrequest =
        (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n",
                         argv[optind + 1], opt.once ? "Connection: close\r\n" : "");
}

/* One round of the clock over all clients; false when nothing is owed any more and nothing may
 * begin. */
static bool tick(struct client *clients)
{
    int64_t now = now_us();
    bool busy = may_begin();
    for (int i = 0; i < opt.connections; i++) {
        on_time(&clients[i], now);
        busy = busy || clients[i].state != OFF;
    }
    return busy;
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    struct client *clients = calloc((size_t)opt.connections, sizeof *clients);
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || loop < 0)
        die("start");
    for (int i = 0; i < opt.connections; i++)
        clients[i].fd = -1;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    int64_t start = now_us();
    while (tick(clients)) {
        struct epoll_event got[EVENTS];
        int n = epoll_wait(loop, got, EVENTS, 1);
        if (opt.seconds && now_us() - start > opt.seconds * 1000000)
            stopping = 1;
        for (int i = 0; i < n; i++) {
            struct client *c = got[i].data.ptr;
            if (c->state == CONNECT)
                on_connected(c);
            on_readable(c);
        }
    }
    free(clients);
    return report();
}
