/* client.c - see client.h. */
#include "proc/client.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "os/child.h"
#include "os/fd.h"
#include "os/sock_unix.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTENERS_MS  3000
#define MOST_BYTES    (16u << 20)
#define LOOK_AGAIN_MS 20

int client_open(struct client *c, const char *path)
{
    unsigned uid, gid;

    *c = (struct client){.fd = -1, .pidfd = -1};
    c->fd = sock_unix_connect(path);
    if (c->fd < 0)
        return c->fd;
    if (sock_unix_peer(c->fd, &c->pid, &uid, &gid) == 0 && c->pid > 0) {
        c->began = child_start_time(c->pid);
        c->pidfd = child_pidfd(c->pid);
    }
    return fd_set_nonblock(c->fd, true);
}

void client_close(struct client *c)
{
    fd_close(&c->fd);
    fd_close(&c->pidfd);
    buf_free(&c->in);
}

static int64_t now_ms(void)
{
    return (int64_t)(clock_us_now() / 1000);
}

/* What is left until `until` for poll: -1 for ever, 0 nothing. */
static int left(int64_t until)
{
    int64_t ms = until < 0 ? -1 : until - now_ms();

    return until < 0 ? -1 : ms <= 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

static int64_t until_of(int64_t limit_ms)
{
    return limit_ms < 0 ? -1 : now_ms() + limit_ms;
}

/* 0 when there is something to read, -ETIMEDOUT. */
static int wait_for(int fd, int64_t until)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;

    do {
        n = poll(&p, 1, left(until));
    } while (n == 0 && left(until) != 0);
    return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : errno == EINTR ? 0 : -errno;
}

/* The next line, without its end, into *line: 0, -EPIPE, -ETIMEDOUT. */
static int read_line(struct client *c, int64_t until, struct buf *line)
{
    char bytes[16384];

    for (;;) {
        char *end = c->in.n ? memchr(c->in.p, '\n', c->in.n) : NULL;
        ssize_t n;
        int rc;

        if (end) {
            buf_clear(line);
            buf_add(line, c->in.p, (size_t)(end - c->in.p));
            buf_consume(&c->in, (size_t)(end - c->in.p) + 1);
            return 0;
        }
        rc = wait_for(c->fd, until);
        if (rc < 0)
            return rc;
        n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET) || c->in.n > MOST_BYTES)
            return -EPIPE;
        if (n > 0)
            buf_add(&c->in, bytes, (size_t)n);
        else if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
}

int client_line(struct client *c, int64_t limit_ms, struct buf *line)
{
    return read_line(c, until_of(limit_ms), line);
}

bool client_has_line(const struct client *c)
{
    return c->in.n > 0 && memchr(c->in.p, '\n', c->in.n);
}

static bool wait_for_room(int fd, int64_t until)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n;

    do {
        n = poll(&p, 1, left(until));
    } while ((n == 0 && left(until) != 0) || (n < 0 && errno == EINTR));
    return n > 0;
}

/* A refusal may be there before, or instead of, a chance to send: so a failed send still reads. */
static void send_request(struct client *c, const char *request, int64_t until)
{
    char *line = mem_printf("%s\n", request);
    size_t n = strlen(line), sent = 0;

    while (sent < n) {
        ssize_t k = send(c->fd, line + sent, n - sent, MSG_NOSIGNAL);

        if (k > 0)
            sent += (size_t)k;
        else if ((errno != EAGAIN && errno != EINTR) || !wait_for_room(c->fd, until))
            break;
    }
    free(line);
}

void client_send(struct client *c, const char *request, int64_t limit_ms)
{
    send_request(c, request, until_of(limit_ms));
}

int client_ask(struct client *c, const char *request, int64_t limit_ms, client_progress *progress,
               void *arg, struct buf *answer)
{
    int64_t until = until_of(limit_ms);

    send_request(c, request, until);
    for (;;) {
        int rc = read_line(c, until, answer);
        cs_str text;

        if (rc < 0)
            return rc;
        if (!json_find(buf_str(answer), "progress", &text))
            return 0;
        if (progress)
            progress(arg, text);
    }
}

static int poll_gone(const struct client *c, int64_t until)
{
    while (child_start_time(c->pid) == c->began && c->began != 0) {
        if (left(until) == 0)
            return -ETIMEDOUT;
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
    return 0;
}

/* Without a pid (another pid namespace) the end of the connection has to do. */
static int wait_hangup(struct client *c, int64_t until)
{
    struct buf line = {0};
    int rc;

    do {
        rc = read_line(c, until, &line);
    } while (rc == 0);
    buf_free(&line);
    return rc == -ETIMEDOUT ? rc : 0;
}

int client_wait_gone(struct client *c, int64_t limit_ms)
{
    int64_t until = until_of(limit_ms);

    if (c->pid <= 0)
        return wait_hangup(c, until);
    return c->pidfd >= 0 ? wait_for(c->pidfd, until) : poll_gone(c, until);
}

bool client_next(cs_str *rest, cs_str *element)
{
    const char *p = rest->p, *end = rest->p + rest->n, *from;
    bool quoted = false;
    int depth = 0;

    if (p < end && (*p == '[' || *p == ','))
        p++;
    while (p < end && *p == ' ')
        p++;
    if (p >= end || *p == ']')
        return false;
    for (from = p; p < end; p++)
        if (quoted && *p == '\\')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (!quoted && depth == 0 && (*p == ',' || *p == ']'))
            break;
        else if (!quoted && (*p == '{' || *p == '['))
            depth++;
        else if (!quoted && (*p == '}' || *p == ']'))
            depth--;
    if (p > end)
        p = end;
    *element = (cs_str){from, (size_t)(p - from)};
    if (element->n >= 2 && from[0] == '"' && p[-1] == '"')
        *element = (cs_str){from + 1, element->n - 2};
    *rest = (cs_str){p, (size_t)(end - p)};
    return true;
}

static int take_listeners(cs_str answer, struct listen_set *out)
{
    cs_str list, text, ok;
    const char *error;
    struct sock_addr a;

    if (!json_find(answer, "ok", &ok) || !str_is(ok, "true") ||
        !json_find(answer, "listeners", &list))
        return -EACCES;
    while (client_next(&list, &text))
        if (sock_addr_parse(text, &a, &error))
            listen_note(out, &a);
    return 0;
}

int client_listeners(const char *path, struct listen_set *out)
{
    struct client c;
    struct buf answer = {0};
    int rc = client_open(&c, path);

    *out = (struct listen_set){0};
    if (rc == 0)
        rc = client_ask(&c, "listeners", LISTENERS_MS, NULL, NULL, &answer);
    if (rc == 0)
        rc = take_listeners(buf_str(&answer), out);
    else if (rc == -ETIMEDOUT || rc == -EPIPE)
        rc = -EACCES;
    client_close(&c);
    buf_free(&answer);
    return rc;
}
