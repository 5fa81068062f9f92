/* sse_client.c - many subscribers of server-sent events in one process, each of which must get the same events without a
 * gap.
 *
 *   sse_client [-n STREAMS] [-m MESSAGES] [-r STREAMS_A_SECOND] [-t TIMEOUT_S] [-a] PORT PATH
 *
 * Prints "open" when all streams have their heads, then waits for MESSAGES events on each of them: "id: N" and "data: N
 * and more", N from 1 on, and nothing else but comments. With -a the data may come in any order, each once, as they do
 * when several workers publish: the mailbox keeps the order of a sender, not of all. Ids are in order in any case.
 * Prints what it has seen as JSON, and waits for the end of its input before it lets go of the streams. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE = 256,
    EVENTS = 512,
    MESSAGES = 4096 /* at most */
};

struct stream {
    int fd;
    bool headed; /* its head is complete */
    bool ended;
    int events;
    long id; /* of the event that is coming, 0 = not told yet */
    unsigned char seen[MESSAGES / 8];
    size_t n;
    char line[LINE]; /* what has come of it */
};

static struct options {
    int streams, messages, rate, timeout_s;
    bool any_order;
    struct sockaddr_in server;
    const char *path;
} opt = {.streams = 100, .messages = 10, .rate = 2000, .timeout_s = 120};

static int loop;
static struct stream *streams;
static int open_streams, complete, ended, wrong;
static char first_wrong[LINE + 64];
static int64_t total, first_us, last_us;

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

static void blame(const struct stream *s, const char *what)
{
    if (wrong++)
        return;
    snprintf(first_wrong, sizeof first_wrong, "%s behind %d events: %.*s", what, s->events,
             LINE - 1, s->line);
    for (char *p = first_wrong; *p; p++)
        if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ')
            *p = '?';
}

static void begin(struct stream *s)
{
    char text[512];
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&opt.server, sizeof opt.server) < 0)
        die("connect");
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: soak\r\n\r\n", opt.path);
    if (write(s->fd, text, (size_t)n) != n || epoll_ctl(loop, EPOLL_CTL_ADD, s->fd, &e) < 0)
        die("subscribe");
}

static void take_data(struct stream *s)
{
    long number = strtol(s->line + 6, NULL, 10) - 1;
    if (number < 0 || number >= opt.messages || (!opt.any_order && number != s->events))
        blame(s, "another number was due");
    else if (s->seen[number / 8] & (1U << number % 8))
        blame(s, "a number came twice");
    else
        s->seen[number / 8] |= (unsigned char)(1U << number % 8);
}

static void take_event(struct stream *s)
{
    take_data(s);
    if (s->id != s->events + 1)
        blame(s, "another id was due");
    s->id = 0;
    s->events++;
    total++;
    last_us = now_us();
    if (!first_us)
        first_us = last_us;
    if (s->events == opt.messages)
        complete++;
    else if (s->events > opt.messages)
        blame(s, "one too many");
}

static void take_head(struct stream *s)
{
    if (!s->n) {
        s->headed = true;
        open_streams++;
    } else if (!strncmp(s->line, "HTTP/1.1 ", 9) && strcmp(s->line, "HTTP/1.1 200 OK\r") != 0) {
        blame(s, "a status");
    }
}

static void take_line(struct stream *s)
{
    if (!s->headed && s->n && s->line[s->n - 1] == '\r')
        s->n--;
    if (!s->headed)
        take_head(s);
    else if (!strncmp(s->line, "id: ", 4))
        s->id = strtol(s->line + 4, NULL, 10);
    else if (!strncmp(s->line, "data: ", 6))
        take_event(s);
    else if (s->n && s->line[0] != ':')
        blame(s, "an unknown line");
    s->n = 0;
}

static void take(struct stream *s, const char *p, size_t n)
{
    for (const char *end = p + n; p < end; p++) {
        if (*p == '\n') {
            s->line[s->n] = '\0';
            take_line(s);
        } else if (s->n < LINE - 1) {
            s->line[s->n++] = *p;
        }
    }
}

static void on_ready(struct stream *s)
{
    static char data[65536];
    ssize_t n = read(s->fd, data, sizeof data);
    if (n > 0) {
        take(s, data, (size_t)n);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    s->ended = true;
    ended++;
    close(s->fd);
}

static void turn(int ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(loop, events, EVENTS, ms);
    if (n < 0 && errno != EINTR)
        die("epoll_wait");
    for (int i = 0; i < n; i++)
        on_ready(events[i].data.ptr);
}

static void open_all(int64_t limit)
{
    int64_t start = now_us();
    for (int i = 0; i < opt.streams;) {
        int64_t due = (now_us() - start) * opt.rate / 1000000 + 1;
        while (i < opt.streams && i < due)
            begin(&streams[i++]);
        turn(1);
    }
    while (open_streams + ended < opt.streams && now_us() < limit)
        turn(100);
    printf("open %d\n", open_streams);
    fflush(stdout);
}

static void report(void)
{
    int least = opt.streams ? INT32_MAX : 0;
    for (int i = 0; i < opt.streams; i++)
        least = streams[i].events < least ? streams[i].events : least;
    printf("{\"streams\": %d, \"open\": %d, \"complete\": %d, \"events\": %lld, \"least\": %d, "
           "\"ended\": %d, "
           "\"wrong\": %d, \"us\": %lld, \"first_wrong\": \"%s\"}\n",
           opt.streams, open_streams, complete, (long long)total, least, ended, wrong,
           (long long)(last_us - first_us), first_wrong);
    fflush(stdout);
}

static void read_options(int argc, char **argv)
{
    int c;
    while ((c = getopt(argc, argv, "an:m:r:t:")) != -1) {
        int v = atoi(optarg ? optarg : "");
        if (c == 'a')
            opt.any_order = true;
        else if (c == 'n')
            opt.streams = v;
        else if (c == 'm')
            opt.messages = v;
        else if (c == 'r')
            opt.rate = v;
        else if (c == 't')
            opt.timeout_s = v;
        else
            exit(2);
    }
    if (argc - optind != 2 || opt.messages > MESSAGES) {
        fprintf(stderr,
                "usage: sse_client [-n STREAMS] [-m MESSAGES] [-r RATE] [-t TIMEOUT_S] [-a] PORT "
                "PATH\n(at most %d messages)\n",
                MESSAGES);
        exit(2);
    }
    opt.server = (struct sockaddr_in){.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)atoi(argv[optind])),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    opt.path = argv[optind + 1];
}

int main(int argc, char **argv)
{
    struct rlimit files;
    char byte;
    read_options(argc, argv);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    loop = epoll_create1(EPOLL_CLOEXEC);
    streams = calloc((size_t)opt.streams, sizeof *streams);
    if (loop < 0 || !streams)
        die("memory");
    int64_t limit = now_us() + (int64_t)opt.timeout_s * 1000000;
    open_all(limit);
    while (complete + ended < opt.streams && now_us() < limit)
        turn(100);
    turn(200); /* one too many would come now */
    report();
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}
