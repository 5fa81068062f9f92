/* arrivals.c - connections that come at their own times, whatever the server does: none waits for
 * the answer of another, so a server that stands still is seen in full.
 *
 *   arrivals [-n CONNECTIONS] [-r PER_SECOND | -c AT_ONCE] [-d SECONDS] [-t TIMEOUT_MS]
 *            [-k] [-w THINK_MS] [-p] PORT PATH
 *
 *   -r  open loop: connection i is due at i / PER_SECOND; -c: closed loop, AT_ONCE at a time
 *   -k  keep each connection after its answer, until SIGTERM; -w: and ask again THINK_MS later
 *   -p  the answer must be "pid N" (the module `who` of soak.py)
 *
 *   OFF -> CONNECT -> WAIT (request sent) -> LAST (answered, the end of stream is due) -> OFF
 *                       ^           `------> HELD (-k)
 *                       `----------------------'  THINK_MS later
 *
 * A wait counts from the time when the connection was due until the first byte of its answer. What
 * the client itself was late by stands beside it; its own part is the `service` time, from connect.
 *
 * Prints lines of JSON: {"held": N, ...} with -k when all connections have had their answer, and
 * at the end the whole result. Times are seconds of CLOCK_MONOTONIC, as Python's
 * time.monotonic(). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    ANSWER = 1024,
    EVENTS = 512,
    PIDS = 1024,
    SLOWEST = 400,
    LISTED = 20000, /* failures told one by one */
    SWEEP_US = 50000
};

enum state {
    OFF,
    CONNECT,
    WAIT,
    LAST,
    HELD
};

enum fault {
    REFUSED,
    CONNECT_RESET,
    NO_ANSWER_END,
    NO_ANSWER_RESET,
    CUT,
    HELD_RESET,
    LAST_RESET,
    WRONG,
    BARE_503,
    NOT_CLOSED,
    TIMED_OUT,
    NO_DESCRIPTOR,
    FAULTS
};

static const char *const fault_name[FAULTS] = {
    [REFUSED] = "refused",
    [CONNECT_RESET] = "reset while connecting",
    [NO_ANSWER_END] = "closed without an answer",
    [NO_ANSWER_RESET] = "reset without an answer",
    [CUT] = "ended within an answer",
    [HELD_RESET] = "reset while idle",
    [LAST_RESET] = "reset instead of an end",
    [WRONG] = "wrong answer",
    [BARE_503] = "503 without Retry-After",
    [NOT_CLOSED] = "announced the end but did not close",
    [TIMED_OUT] = "no answer in time",
    [NO_DESCRIPTOR] = "the client has no descriptor left",
};

struct conn {
    enum state state;
    int fd;
    int64_t due, began, since,
        first; /* us; since: of the present state; first: byte of the answer */
    long pid;  /* who gave the last answer */
    int port;  /* our own */
    bool asked_before;
    size_t n;
    char answer[ANSWER + 1];
};

struct failure {
    enum fault why;
    int64_t at, began;
    int port;
};

struct slow {
    int64_t wait, service, at;
    int port;
    long pid;
};

struct samples {
    size_t n, room;
    uint32_t *v;
};

static struct options {
    int64_t connections, at_once, seconds, timeout_us, think_us;
    double rate;
    bool keep, who;
    struct sockaddr_in server;
} opt = {.connections = INT64_MAX, .at_once = 16, .timeout_us = 10000000, .think_us = -1};

static int loop, timer;
static char request[1024];
static size_t nrequest;
static struct conn **conns, **spare;
static size_t nconns, nspare, nlive, nheld, room;
static int64_t start, begun, answered, again, busy, shed, faults[FAULTS];
static struct samples waits, services, lates;
static struct slow slowest[SLOWEST];
static struct failure failures[LISTED];
static size_t nfailures;
static struct {
    long pid;
    int64_t count;
} by_pid[PIDS];
static size_t npids;
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

static void *must(void *p)
{
    if (!p)
        die("memory");
    return p;
}

static void sample(struct samples *s, int64_t us)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 4096;
        s->v = must(realloc(s->v, s->room * sizeof *s->v));
    }
    s->v[s->n++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* How long the first answer took; keeps the slowest ones, the slowest first. */
static void note_wait(const struct conn *c)
{
    struct slow one = {c->first - c->due, c->first - c->began, c->first, c->port, c->pid};
    sample(&waits, one.wait);
    sample(&services, one.service);
    int i = SLOWEST;
    while (i > 0 && one.wait > slowest[i - 1].wait)
        i--;
    if (i < SLOWEST) {
        memmove(&slowest[i + 1], &slowest[i], (size_t)(SLOWEST - 1 - i) * sizeof *slowest);
        slowest[i] = one;
    }
}

static void count_pid(long pid)
{
    size_t i = 0;
    while (i < npids && by_pid[i].pid != pid)
        i++;
    if (i == PIDS)
        return;
    if (i == npids)
        by_pid[npids++].pid = pid;
    by_pid[i].count++;
}

static void enter(struct conn *c, enum state state)
{
    nheld -= c->state == HELD;
    nheld += state == HELD;
    nlive -= c->state != OFF;
    nlive += state != OFF;
    c->state = state;
    c->since = now_us();
}

static void drop(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    enter(c, OFF);
    spare[nspare++] = c;
}

static void fail(struct conn *c, enum fault why)
{
    faults[why]++;
    if (nfailures < LISTED)
        failures[nfailures++] = (struct failure){why, now_us(), c->began, c->port};
    drop(c);
}

static void ask(struct conn *c)
{
    c->n = 0;
    enter(c, WAIT);
    ssize_t n = send(c->fd, request, nrequest, MSG_NOSIGNAL);
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
        fail(c, NO_ANSWER_RESET);
    else if (n != (ssize_t)nrequest)
        die("send");
}

static struct conn *fresh(void)
{
    if (nspare)
        return spare[--nspare];
    if (nconns == room) {
        room = room ? 2 * room : 1024;
        conns = must(realloc(conns, room * sizeof *conns));
        spare = must(realloc(spare, room * sizeof *spare));
    }
    return conns[nconns++] = must(calloc(1, sizeof(struct conn)));
}

static void dial(int64_t due)
{
    struct conn *c = fresh();
    int on = 1;
    int64_t now = now_us();
    *c = (struct conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                       .due = due,
                       .began = now};
    begun++;
    sample(&lates, now - due);
    enter(c, CONNECT);
    if (c->fd < 0) {
        fail(c, NO_DESCRIPTOR);
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (connect(c->fd, (struct sockaddr *)&opt.server, sizeof opt.server) < 0 &&
        errno != EINPROGRESS) {
        fail(c, errno == EADDRNOTAVAIL ? NO_DESCRIPTOR : REFUSED);
        return;
    }
    struct sockaddr_in self = {0};
    socklen_t n = sizeof self;
    getsockname(c->fd, (struct sockaddr *)&self, &n);
    c->port = ntohs(self.sin_port);
    if (epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl");
}

static void on_connected(struct conn *c)
{
    int error = 0;
    socklen_t n = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
        die("getsockopt");
    if (error)
        fail(c, error == ECONNREFUSED ? REFUSED : CONNECT_RESET);
    else
        ask(c);
}

static const char *field(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = strstr(head, "\r\n"); p; p = strstr(p + 2, "\r\n"))
        if (strncasecmp(p + 2, name, n) == 0 && p[2 + n] == ':')
            return p + 2 + n + 1 + strspn(p + 2 + n + 1, " \t");
    return NULL;
}

static bool is_right(struct conn *c, const char *body)
{
    char *end;
    if (strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0)
        return false;
    if (!opt.who)
        return true;
    if (strncmp(body, "pid ", 4) != 0)
        return false;
    c->pid = strtol(body + 4, &end, 10);
    return c->pid > 0 && strcmp(end, "\n") == 0;
}

static void on_answer(struct conn *c, const char *body)
{
    const char *connection = field(c->answer, "connection");
    bool last = !opt.keep || (connection && strncasecmp(connection, "close", 5) == 0);
    if (strncmp(c->answer, "HTTP/1.1 503 ", 13) == 0) {
        busy++;
        if (!field(c->answer, "retry-after")) {
            fail(c, BARE_503);
            return;
        }
    } else if (!is_right(c, body)) {
        fail(c, WRONG);
        return;
    } else if (c->asked_before) {
        again++;
    } else {
        answered++;
        count_pid(c->pid);
        note_wait(c);
    }
    c->asked_before = true;
    enter(c, last ? LAST : HELD);
}

/* The answer is small: it fits, or is wrong. */
static void on_bytes(struct conn *c)
{
    c->answer[c->n] = '\0';
    char *end = strstr(c->answer, "\r\n\r\n"), *stop;
    if (!end) {
        if (c->n == ANSWER)
            fail(c, WRONG);
        return;
    }
    const char *length = field(c->answer, "content-length");
    long want = length && length < end ? strtol(length, &stop, 10) : -1;
    long have = (long)(c->n - (size_t)(end + 4 - c->answer));
    if (want < 0 || have > want)
        fail(c, WRONG);
    else if (have == want)
        on_answer(c, end + 4);
    else if (c->n == ANSWER)
        fail(c, WRONG);
}

static void on_end(struct conn *c, bool reset)
{
    switch (c->state) {
    case WAIT:
        if (c->n)
            fail(c, CUT);
        else
            fail(c, reset ? NO_ANSWER_RESET : NO_ANSWER_END);
        break;
    case HELD:
        if (reset) {
            fail(c, HELD_RESET);
        } else {
            shed++;
            drop(c);
        }
        break;
    default:
        if (reset)
            fail(c, LAST_RESET);
        else
            drop(c);
    }
}

static void on_readable(struct conn *c)
{
    while (c->state == WAIT || c->state == HELD || c->state == LAST) {
        char waste[16];
        bool wanted = c->state == WAIT;
        ssize_t n = wanted ? recv(c->fd, c->answer + c->n, ANSWER - c->n, 0)
                           : recv(c->fd, waste, sizeof waste, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            on_end(c, n < 0);
        } else if (!wanted) {
            fail(c, WRONG);
        } else {
            if (c->n == 0)
                c->first = now_us();
            c->n += (size_t)n;
            on_bytes(c);
        }
    }
}

/* What time brings: the next request of a kept connection, the end of patience. */
static void sweep(int64_t now)
{
    for (size_t i = 0; i < nconns; i++) {
        struct conn *c = conns[i];
        int64_t spent = now - c->since;
        if (c->state == HELD && stopping)
            drop(c);
        else if (c->state == HELD && opt.think_us >= 0 && spent >= opt.think_us)
            ask(c);
        else if ((c->state == WAIT || c->state == CONNECT) && spent > opt.timeout_us)
            fail(c, TIMED_OUT);
        else if (c->state == LAST && spent > opt.timeout_us)
            fail(c, NOT_CLOSED);
    }
}

static bool may_begin(int64_t now)
{
    return !stopping && begun < opt.connections &&
           (opt.seconds == 0 || now - start < opt.seconds * 1000000);
}

static int64_t due_at(int64_t i)
{
    return start + (int64_t)((double)i * 1e6 / opt.rate);
}

/* Begins what is due and sets the clock for the next. In a closed loop a connection is due when
 * there is room for it. */
static void begin_due(void)
{
    int64_t now = now_us();
    if (opt.rate > 0) {
        while (may_begin(now) && due_at(begun) <= now) {
            dial(due_at(begun));
            now = now_us();
        }
        int64_t next = may_begin(now) ? due_at(begun) : 0;
        struct itimerspec when = {.it_value = {next / 1000000, next % 1000000 * 1000}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
    } else {
        while (may_begin(now) && (int64_t)(nlive - nheld) < opt.at_once)
            dial(now_us());
    }
}

/* ---- The result -------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s)
{
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, by_size);
#define AT(q) (s->n ? s->v[(size_t)((double)(s->n - 1) * (q))] : 0)
    printf("\"%s_us\": {\"p50\": %u, \"p90\": %u, \"p99\": %u, \"p999\": %u, \"max\": %u}, ", name,
           AT(0.5), AT(0.9), AT(0.99), AT(0.999), AT(1.0));
#undef AT
}

static void print_pids(void)
{
    printf("\"by_pid\": {");
    for (size_t i = 0; i < npids; i++)
        printf("%s\"%ld\": %lld", i ? ", " : "", by_pid[i].pid, (long long)by_pid[i].count);
    printf("}");
}

static void print_lists(void)
{
    printf("\"failures\": [");
    for (size_t i = 0; i < nfailures; i++)
        printf("%s[\"%s\", %.6f, %.6f, %d]", i ? ", " : "", fault_name[failures[i].why],
               (double)failures[i].at / 1e6, (double)failures[i].began / 1e6, failures[i].port);
    printf("], \"slowest\": [");
    for (int i = 0; i < SLOWEST && slowest[i].wait; i++)
        printf(
            "%s{\"wait_us\": %lld, \"service_us\": %lld, \"at\": %.6f, \"port\": %d, \"pid\": %ld}",
            i ? ", " : "", (long long)slowest[i].wait, (long long)slowest[i].service,
            (double)slowest[i].at / 1e6, slowest[i].port, slowest[i].pid);
    printf("], ");
}

static int report(int64_t end)
{
    int64_t failed = 0;
    for (int i = 0; i < FAULTS; i++)
        failed += faults[i];
    printf("{\"begun\": %lld, \"answered\": %lld, \"again\": %lld, \"busy\": %lld, \"shed\": %lld, "
           "\"failed\": %lld, \"seconds\": %.3f, ",
           (long long)begun, (long long)answered, (long long)again, (long long)busy,
           (long long)shed, (long long)failed, (double)(end - start) / 1e6);
    printf("\"faults\": {");
    const char *comma = "";
    for (int i = 0; i < FAULTS; i++)
        if (faults[i]) {
            printf("%s\"%s\": %lld", comma, fault_name[i], (long long)faults[i]);
            comma = ", ";
        }
    printf("}, ");
    print_samples("wait", &waits);
    print_samples("service", &services);
    print_samples("late", &lates);
    print_lists();
    print_pids();
    printf("}\n");
    return failed > 0;
}

static void report_held(void)
{
    printf("{\"held\": %zu, \"begun\": %lld, \"busy\": %lld, \"shed\": %lld, ", nheld,
           (long long)begun, (long long)busy, (long long)shed);
    print_pids();
    printf("}\n");
    fflush(stdout);
}

/* ---- The loop ---------------------------------------------------------------------------------- */

static void read_options(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "n:r:c:d:t:kw:p")) != -1) {
        switch (o) {
        case 'n':
            opt.connections = atoll(optarg);
            break;
        case 'r':
            opt.rate = atof(optarg);
            break;
        case 'c':
            opt.at_once = atoll(optarg);
            break;
        case 'd':
            opt.seconds = atoll(optarg);
            break;
        case 't':
            opt.timeout_us = atoll(optarg) * 1000;
            break;
        case 'k':
            opt.keep = true;
            break;
        case 'w':
            opt.think_us = atoll(optarg) * 1000;
            break;
        case 'p':
            opt.who = true;
            break;
        default:
            exit(2);
        }
    }
    if (argc - optind != 2) {
        fprintf(stderr, "usage: arrivals [options] PORT PATH\n");
        exit(2);
    }
    opt.server.sin_family = AF_INET;
    opt.server.sin_port = htons((uint16_t)atoi(argv[optind]));
    opt.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    nrequest = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n",
                                argv[optind + 1], opt.keep ? "" : "Connection: close\r\n");
}

static void prepare(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    loop = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (loop < 0 || timer < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, timer, &ev) < 0)
        die("start");
}

static void on_event(struct conn *c)
{
    if (!c)
        return;
    if (c->state == CONNECT)
        on_connected(c);
    on_readable(c);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    prepare();
    start = now_us();
    int64_t swept = start;
    bool told = !opt.keep;
    for (;;) {
        begin_due();
        bool more = may_begin(now_us());
        if (!more && nlive == 0)
            break;
        if (!more && !told && nlive == nheld) {
            report_held();
            told = true;
        }
        struct epoll_event got[EVENTS];
        int n = epoll_wait(loop, got, EVENTS, stopping ? 1 : SWEEP_US / 1000);
        for (int i = 0; i < n; i++)
            on_event(got[i].data.ptr);
        int64_t now = now_us();
        if (now - swept >= SWEEP_US || stopping) {
            sweep(now);
            swept = now;
        }
    }
    return report(now_us());
}
