/* canary.c - see canary.h.
 *
 * The child says a line for each request: '+' (good), or, as its last one, '-' (wrong) or '!' (lost), and then what the
 * worker does with the request, in words: those before the request's name, a tab, and those behind it. */
#include "proc/canary.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/fdpass.h"
#include "os/child.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD_MAX 65536
#define SHOWN    100  /* of a status line, in a sentence */
#define EXTRA_MS 5000 /* for the child itself, on a busy machine */

enum {
    SAYS_GOOD = '+',
    SAYS_WRONG = '-',
    SAYS_LOST = '!'
};

/* ---- The child ---- */

struct talk {
    const struct conf_trial *trial;
    int64_t limit_ms;
    uint64_t start_us;
    int fd;
    struct buf in;
    const char *does; /* what the worker does, where it does not answer */
    enum canary_fault fault;
};

static uint64_t spent_ms(const struct talk *t)
{
    return (clock_us_now() - t->start_us) / 1000;
}

static bool fail(struct talk *t, enum canary_fault fault, const char *does)
{
    t->fault = fault;
    t->does = does;
    return false;
}

static bool wait_for(struct talk *t, short events)
{
    struct pollfd p = {.fd = t->fd, .events = events};
    uint64_t spent = spent_ms(t);

    if (spent >= (uint64_t)t->limit_ms || poll(&p, 1, (int)((uint64_t)t->limit_ms - spent)) == 0)
        return fail(t, CANARY_WRONG, "has not answered");
    return true;
}

/* The worker gets its end; where that is not possible it has gone. */
static bool connect_to(struct talk *t, int pass)
{
    struct fdpass_msg msg = {.kind = FDPASS_CONNECTION};
    int ends[2], rc = fd_pair(SOCK_STREAM, ends);

    if (rc < 0)
        return fail(t, CANARY_WRONG, "cannot be asked, as there are no sockets for");
    t->fd = ends[0];
    rc = fdpass_send(pass, &msg, ends[1]);
    close(ends[1]);
    return rc == 0 || fail(t, CANARY_LOST, "cannot be reached with");
}

static bool send_request(struct talk *t)
{
    const struct conf_trial *trial = t->trial;
    struct buf text = {0};
    size_t at = 0;

    buf_printf(&text,
               "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: cserver-probe\r\n"
               "Content-Length: 0\r\nConnection: close\r\n\r\n",
               CS_F(trial->method), CS_F(trial->path), CS_F(trial->host));
    while (at < text.n) {
        ssize_t n = send(t->fd, text.p + at, text.n - at, MSG_NOSIGNAL);

        if (n > 0)
            at += (size_t)n;
        else if (errno == EAGAIN && !wait_for(t, POLLOUT))
            return false;
        else if (errno != EAGAIN && errno != EINTR)
            break; /* what it has answered before can still be read */
    }
    buf_free(&text);
    return true;
}

static bool read_more(struct talk *t)
{
    ssize_t n;

    if (t->in.n >= HEAD_MAX)
        return fail(t, CANARY_WRONG, "has sent no head for");
    if (!wait_for(t, POLLIN))
        return false;
    n = recv(t->fd, buf_reserve(&t->in, 4096), 4096, 0);
    if (n > 0)
        buf_added(&t->in, (size_t)n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return fail(t, CANARY_LOST, "has closed the connection of");
    return true;
}

static const char *end_of_head(const struct buf *in)
{
    return in->n ? memmem(in->p, in->n, "\r\n\r\n", 4) : NULL;
}

/* The status of the head at the start; -1: this is none. */
static int status_of(const struct buf *in)
{
    uint64_t status = 0;
    cs_str line = buf_str(in);

    if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || line.p[8] != ' ' ||
        !str_to_u64((cs_str){line.p + 9, 3}, 999, &status) || status < 100)
        return -1;
    return (int)status;
}

/* The head of the final answer. */
static bool read_answer(struct talk *t, int *status)
{
    for (;;) {
        const char *end = end_of_head(&t->in);

        if (!end) {
            if (!read_more(t))
                return false;
            continue;
        }
        *status = status_of(&t->in);
        if (*status < 0)
            return fail(t, CANARY_WRONG, "has sent no HTTP for");
        if (*status >= 200)
            return true;
        buf_consume(&t->in, (size_t)(end - t->in.p) + 4);
    }
}

/* "503 Service Unavailable", as far as that can be shown. */
static void add_status(const struct talk *t, struct buf *out)
{
    for (size_t i = 9; i < t->in.n && i < SHOWN && t->in.p[i] != '\r'; i++)
        buf_add_char(out, t->in.p[i] < ' ' || t->in.p[i] > '~' ? '?' : t->in.p[i]);
}

static char judge(struct talk *t, int pass, struct buf *out)
{
    int status = 0;
    bool came = connect_to(t, pass) && send_request(t) && read_answer(t, &status);
    bool good = came && status >= t->trial->first && status <= t->trial->last;

    fd_close(&t->fd);
    buf_printf(out, "%s\t", came ? "answers" : t->does);
    if (came) {
        buf_add_z(out, "with ");
        add_status(t, out);
    }
    if (came && !good)
        buf_printf(out, ", not with %.*s", CS_F(t->trial->wanted));
    buf_printf(out, "%safter %u ms", good ? " " : came ? ", " : "", (unsigned)spent_ms(t));
    buf_free(&t->in);
    return good ? SAYS_GOOD : came || t->fault == CANARY_WRONG ? SAYS_WRONG : SAYS_LOST;
}

static bool try_one(const struct canary_ask *ask, size_t i, int fd)
{
    struct talk t = {.trial = &ask->reload->trials[i],
                     .limit_ms = ask->reload->probe_timeout,
                     .start_us = clock_us_now(),
                     .fd = -1};
    struct buf line = {0};
    char verdict;

    buf_add_char(&line, ' ');
    verdict = judge(&t, ask->pass, &line);
    line.p[0] = verdict;
    buf_add_char(&line, '\n');
    fd_write_all(fd, line.p, line.n);
    buf_free(&line);
    return verdict == SAYS_GOOD;
}

static _Noreturn void child_main(const struct canary_ask *ask, int fd)
{
    size_t i = 0;

    child_title_set("cserver: probe of a new worker");
    log_set_name("probe");
    if (!ask->become(ask->arg))
        _exit(1);
    while (i < ask->reload->ntrials && try_one(ask, i, fd))
        i++;
    _exit(0);
}

/* ---- The master ---- */

void canary_init(struct canary *c)
{
    *c = (struct canary){.fd = -1};
}

int64_t canary_limit_ms(const struct conf_reload *reload)
{
    return reload->probe_timeout * (int64_t)reload->ntrials + EXTRA_MS;
}

int canary_begin(struct canary *c, const struct canary_ask *ask)
{
    int ends[2];

    canary_free(c);
    c->ask = *ask;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    fflush(NULL);
    c->pid = child_fork(SIGKILL);
    if (c->pid == 0) {
        close(ends[0]);
        child_main(ask, ends[1]);
    }
    close(ends[1]);
    c->fd = ends[0];
    if (c->pid < 0) {
        int rc = c->pid;

        canary_free(c);
        return rc;
    }
    return fd_set_nonblock(c->fd, true);
}

static const struct conf_trial *current(const struct canary *c)
{
    const struct conf_reload *r = c->ask.reload;

    return &r->trials[c->asked < r->ntrials ? c->asked : r->ntrials - 1];
}

/* As it is written, without the status. */
static void add_name(const struct conf_trial *t, struct buf *out)
{
    size_t n = (size_t)(t->wanted.p - t->text.p);

    buf_add_str(out, str_trim((cs_str){t->text.p, n}));
}

void canary_say_request(const struct canary *c, struct buf *out)
{
    const struct conf_trial *t = current(c);

    add_name(t, out);
    buf_add_z(out, " (");
    report_origin(&t->at, out);
    buf_add_z(out, ")");
}

static void take_line(struct canary *c, char verdict, cs_str words)
{
    const struct conf_trial *t = current(c);
    struct buf text = {0};
    cs_str before;

    str_split(&words, '\t', &before);
    if (verdict != SAYS_GOOD) {
        report_origin(&t->at, &text);
        buf_add_z(&text, ": ");
    }
    buf_printf(&text, "%s %.*s ", c->ask.worker, CS_F(before));
    add_name(t, &text);
    buf_printf(&text, " %.*s", CS_F(words));
    if (verdict == SAYS_GOOD) {
        c->asked++;
        c->ask.on_line(c->ask.arg, text.p);
        buf_free(&text);
    } else {
        c->fault = verdict == SAYS_LOST ? CANARY_LOST : CANARY_WRONG;
        buf_free(&c->text);
        c->text = text;
    }
}

static void take_lines(struct canary *c)
{
    cs_str rest = buf_str(&c->in);
    const char *lf;
    size_t used = 0;

    while (rest.n > 0 && (lf = memchr(rest.p, '\n', rest.n))) {
        cs_str line = {rest.p, (size_t)(lf - rest.p)};

        if (line.n > 1 && c->asked < c->ask.reload->ntrials)
            take_line(c, line.p[0], (cs_str){line.p + 1, line.n - 1});
        used += line.n + 1;
        rest = (cs_str){lf + 1, rest.n - line.n - 1};
    }
    buf_consume(&c->in, used);
}

bool canary_read(struct canary *c)
{
    ssize_t n;

    do {
        n = read(c->fd, buf_reserve(&c->in, 4096), 4096);
        if (n > 0)
            buf_added(&c->in, (size_t)n);
    } while (n > 0 || (n < 0 && errno == EINTR));
    take_lines(c);
    return n < 0 && errno == EAGAIN;
}

void canary_drop(struct canary *c)
{
    if (c->pid > 0)
        kill(c->pid, SIGKILL);
    c->pid = 0;
    fd_close(&c->fd);
}

void canary_end(struct canary *c, int status)
{
    char how[64];

    canary_read(c);
    fd_close(&c->fd);
    c->pid = 0;
    c->good = !c->text.n && c->asked == c->ask.reload->ntrials;
    if (c->good || c->text.n)
        return;
    child_end_text(status, how, sizeof how);
    buf_printf(&c->text, "the process that asks %s for ", c->ask.worker);
    canary_say_request(c, &c->text);
    buf_printf(&c->text, " was not able to (%s)", how);
}

void canary_free(struct canary *c)
{
    canary_drop(c);
    buf_free(&c->in);
    buf_free(&c->text);
    canary_init(c);
}
