/* visitor.c - the load of make bench-accept: opens connections, asks, and measures from the moment at which it
 * wanted to connect until the first byte of the answer.
 *
 *   visitor PORT SECONDS [-r PER_SECOND | -c AT_ONCE] [-o PER_SECOND] [-b PER_MILLE] [-s SEED]
 *
 * -r: open loop, so many requests a second, evenly spaced, whatever the server does; their time counts from the
 *     moment they were due, so that nothing waits unseen (Tene's "coordinated omission").
 * -c: closed loop, so many at once: the next begins when one has ended.
 * -o: long-lived connections: so many are opened each second, ask at once and stay open to the end; the requests
 *     of -r or -c come on the one that has been quiet for longest. Without -o each request has a connection of
 *     its own, which the server closes.
 * -b: so many of a thousand requests, by a fixed random sequence, ask for /block.
 *
 * Each answer is 200 with the worker's pid as its body. Prints one JSON object. */
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
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND   INT64_C(1000000000)
#define PATIENCE (10 * SECOND) /* for what is still under way at the end */

enum {
    EVENTS = 128,
    ROOM = 1024,
    WORKERS = 64,
    SOURCES = 8 /* 127.0.0.2 and up: each has ephemeral ports of its own */
};

struct visit {
    int fd;
    int pid;            /* who answered; 0: nobody yet */
    bool sent;          /* the request has left */
    bool fresh;         /* the first request on its connection */
    bool resting;       /* in the queue of quiet connections */
    int64_t due;        /* when its request should have begun */
    struct visit *next; /* in the queue of quiet connections */
    size_t n;
    char in[ROOM];
};

/* Moments at a fixed distance. */
struct pace {
    int64_t start;
    double step; /* 0: none */
    int64_t taken;
};

struct sample {
    int64_t *v;
    size_t n, room;
};

enum trouble {
    CONNECT,
    CUT,
    STATUS,
    UNANSWERED,
    TROUBLES
};
static const char *const trouble_names[TROUBLES] = {"connect", "cut", "status", "unanswered"};

static struct {
    int port, at_once, per_mille;
    double seconds, rate, open_rate;
    uint64_t seed;
} options = {.seed = 1};

static int loop, timer;
static int64_t end;
static struct pace requests, openings;
static struct visit *quiet, **quiet_tail = &quiet;
static int busy; /* requests under way */
static uint64_t answered, answered_in_time, opened, troubles[TROUBLES];
static struct sample first, later;
static struct {
    int pid;
    uint64_t connections;
} workers[WORKERS];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

/* xorshift64*: the same requests block in each run. */
static bool blocks(void)
{
    options.seed ^= options.seed >> 12;
    options.seed ^= options.seed << 25;
    options.seed ^= options.seed >> 27;
    return (options.seed * UINT64_C(0x2545F4914F6CDD1D) >> 32) % 1000 < (unsigned)options.per_mille;
}

static int64_t pace_due(const struct pace *p)
{
    return p->step > 0 ? p->start + (int64_t)((double)p->taken * p->step) : INT64_MAX;
}

static void pace_set(struct pace *p, int64_t start, double per_second)
{
    *p = (struct pace){.start = start, .step = per_second > 0 ? (double)SECOND / per_second : 0};
}

static void sample_add(struct sample *s, int64_t v)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 4096;
        s->v = realloc(s->v, s->room * sizeof *s->v);
        if (!s->v)
            die("realloc");
    }
    s->v[s->n++] = v;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Microseconds; v is sorted. */
static double sample_at(const struct sample *s, double share)
{
    if (!s->n)
        return -1;
    size_t i = (size_t)(share * (double)s->n);
    return (double)s->v[i < s->n ? i : s->n - 1] / 1000;
}

static void count_worker(int pid)
{
    int i = 0;
    while (workers[i].pid && workers[i].pid != pid)
        if (++i == WORKERS) {
            fprintf(stderr, "visitor: over %d workers\n", WORKERS);
            exit(1);
        }
    workers[i].pid = pid;
    workers[i].connections++;
}

static void watch(struct visit *v, int op, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = v};
    if (epoll_ctl(loop, op, v->fd, &ev) < 0)
        die("epoll_ctl");
}

static void drop(struct visit *v)
{
    if (v->fd >= 0)
        close(v->fd);
    free(v);
}

/* The answer did not come as it should have. */
static void fail(struct visit *v, enum trouble what)
{
    troubles[what]++;
    busy--;
    drop(v);
}

/* False: not yet, or the visit has failed and gone. */
static bool ask(struct visit *v)
{
    char text[128];
    int n =
        snprintf(text, sizeof text, "GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n",
                 blocks() ? "block" : "work", options.open_rate > 0 ? "" : "Connection: close\r\n");
    if (send(v->fd, text, (size_t)n, MSG_NOSIGNAL) != n) {
        fail(v, CONNECT);
        return false;
    }
    v->sent = true;
    return true;
}

static bool connected(const struct visit *v)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    return getsockopt(v->fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
           info.tcpi_state == TCP_ESTABLISHED;
}

static int open_socket(void)
{
    static unsigned turn;
    const int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % SOURCES)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        die("bind");
    return fd;
}

static void visit_begin(int64_t due)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)options.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct visit *v = calloc(1, sizeof *v);
    if (!v)
        die("calloc");
    *v = (struct visit){.fd = open_socket(), .due = due, .fresh = true};
    busy++;
    if (v->fd < 0 ||
        (connect(v->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
        fail(v, CONNECT);
        return;
    }
    if (!connected(v))
        watch(v, EPOLL_CTL_ADD, EPOLLOUT);
    else if (ask(v))
        watch(v, EPOLL_CTL_ADD, EPOLLIN);
}

/* One more request on a connection that is open. */
static void visit_again(int64_t due)
{
    struct visit *v = quiet;
    quiet = v->next;
    if (!quiet)
        quiet_tail = &quiet;
    v->due = due;
    v->fresh = v->resting = false;
    v->n = 0;
    v->next = NULL;
    busy++;
    ask(v);
}

static void rest(struct visit *v)
{
    v->resting = true;
    *quiet_tail = v;
    quiet_tail = &v->next;
}

/* Is the answer whole? 1, 0 (not yet), -1 (it is none). */
static int answer_whole(struct visit *v)
{
    const char *body = memmem(v->in, v->n, "\r\n\r\n", 4), *length;
    v->in[v->n < ROOM ? v->n : ROOM - 1] = '\0';
    if (!body)
        return v->n < ROOM - 1 ? 0 : -1;
    length = strcasestr(v->in, "\r\nContent-Length:");
    if (strncmp(v->in, "HTTP/1.1 200 ", 13) || !length || length > body)
        return -1;
    body += 4;
    if (v->n - (size_t)(body - v->in) < strtoul(length + 17, NULL, 10))
        return 0;
    v->pid = atoi(body);
    return v->pid > 0 ? 1 : -1;
}

/* A whole answer: of a long-lived connection now, else when the server has closed. */
static void visit_done(struct visit *v)
{
    answered++;
    answered_in_time += now_ns() < end;
    busy--;
    if (v->fresh) {
        opened++;
        count_worker(v->pid);
    }
    if (options.open_rate > 0)
        rest(v);
    else
        drop(v);
}

static void on_answer(struct visit *v)
{
    ssize_t n = recv(v->fd, v->in + v->n, ROOM - 1 - v->n, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0 && !v->n)
        sample_add(v->fresh ? &first : &later, now_ns() - v->due);
    v->n += n > 0 ? (size_t)n : 0;
    const int whole = answer_whole(v);
    if (whole < 0)
        fail(v, STATUS);
    else if (n <= 0 && (n < 0 || !whole || options.open_rate > 0))
        fail(v, CUT);
    else if (whole && (n == 0 || options.open_rate > 0))
        visit_done(v);
}

/* The server has closed a quiet connection; its next request will find that out too. */
static void on_loss(struct visit *v)
{
    troubles[CUT]++;
    close(v->fd);
    v->fd = -1;
}

static void on_event(struct visit *v, uint32_t events)
{
    if (v->resting)
        on_loss(v);
    else if (v->sent)
        on_answer(v);
    else if (events & (EPOLLERR | EPOLLHUP))
        fail(v, CONNECT);
    else if (ask(v))
        watch(v, EPOLL_CTL_MOD, EPOLLIN);
}

/* Begins what is due. Long-lived: a request waits until a connection is quiet, but its time runs. */
static void begin_due(int64_t now)
{
    for (; pace_due(&openings) <= now; openings.taken++)
        visit_begin(pace_due(&openings));
    for (; pace_due(&requests) <= now && (options.open_rate <= 0 || quiet); requests.taken++)
        if (options.open_rate > 0)
            visit_again(pace_due(&requests));
        else
            visit_begin(pace_due(&requests));
}

static void fill_up(void)
{
    for (int i = busy; i < options.at_once && (options.open_rate <= 0 || quiet); i++)
        if (options.open_rate > 0)
            visit_again(now_ns());
        else
            visit_begin(now_ns());
}

/* Wakes the loop for the next moment that can be kept by itself. */
static void set_timer(void)
{
    int64_t at = end, next = pace_due(&openings);
    at = next < at ? next : at;
    next = pace_due(&requests);
    if (options.open_rate <= 0 || quiet)
        at = next < at ? next : at;
    struct itimerspec when = {.it_value = {.tv_sec = at / SECOND, .tv_nsec = at % SECOND}};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        die("timerfd_settime");
}

static void turn(void)
{
    struct epoll_event got[EVENTS];
    int n = epoll_wait(loop, got, EVENTS, now_ns() < end ? -1 : 100);
    for (int i = 0; i < n; i++)
        if (got[i].data.ptr)
            on_event(got[i].data.ptr, got[i].events);
}

static void run(void)
{
    const int64_t start = now_ns();
    end = start + (int64_t)(options.seconds * (double)SECOND);
    pace_set(&requests, start, options.rate);
    pace_set(&openings, start, options.open_rate);
    for (int64_t now = start; now < end; now = now_ns()) {
        begin_due(now);
        fill_up();
        set_timer();
        turn();
    }
    while ((busy || pace_due(&requests) < end) && now_ns() < end + PATIENCE) {
        begin_due(end - 1);
        turn();
    }
    for (; pace_due(&requests) < end; requests.taken++)
        troubles[UNANSWERED]++;
    troubles[UNANSWERED] += (uint64_t)busy;
}

static void print_times(const char *name, struct sample *s)
{
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, compare);
    printf("\"%s\": {\"n\": %zu, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}, ", name, s->n,
           sample_at(s, 0.5), sample_at(s, 0.99), sample_at(s, 1));
}

static void print(void)
{
    const char *comma = "";
    printf("{\"answered\": %llu, \"in_time\": %llu, \"opened\": %llu, ",
           (unsigned long long)answered, (unsigned long long)answered_in_time,
           (unsigned long long)opened);
    print_times("first", &first);
    print_times("later", &later);
    printf("\"errors\": {");
    for (int i = 0; i < TROUBLES; i++)
        if (troubles[i]) {
            printf("%s\"%s\": %llu", comma, trouble_names[i], (unsigned long long)troubles[i]);
            comma = ", ";
        }
    printf("}, \"workers\": {");
    comma = "";
    for (int i = 0; i < WORKERS && workers[i].pid; i++) {
        printf("%s\"%d\": %llu", comma, workers[i].pid, (unsigned long long)workers[i].connections);
        comma = ", ";
    }
    printf("}}\n");
}

static void usage(void)
{
    fprintf(stderr, "usage: visitor PORT SECONDS [-r PER_SECOND | -c AT_ONCE] [-o PER_SECOND] [-b "
                    "PER_MILLE] [-s SEED]\n");
    exit(2);
}

static void read_options(int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "r:c:o:b:s:")) != -1;)
        switch (c) {
        case 'r':
            options.rate = atof(optarg);
            break;
        case 'c':
            options.at_once = atoi(optarg);
            break;
        case 'o':
            options.open_rate = atof(optarg);
            break;
        case 'b':
            options.per_mille = atoi(optarg);
            break;
        case 's':
            options.seed = strtoull(optarg, NULL, 10);
            break;
        default:
            usage();
        }
    if (argc - optind != 2 || (options.rate > 0) == (options.at_once > 0) || !options.seed)
        usage();
    options.port = atoi(argv[optind]);
    options.seconds = atof(argv[optind + 1]);
}

static void open_loop(void)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET,
                             .data.ptr = NULL}; /* edge: nobody reads it */
    loop = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop < 0 || timer < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, timer, &ev) < 0)
        die("epoll");
}

static void raise_limit(void)
{
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    raise_limit();
    open_loop();
    run();
    print();
    return 0;
}
