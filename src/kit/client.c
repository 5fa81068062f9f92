/* client.c - clients: each has its end of a pair of sockets, one request to send, and a reply to read. They move in the
 * order in which they were begun. */
#include "kit/client.h"

#include "base/buf.h"
#include "base/mem.h"
#include "os/fd.h"
#include "serve/conn.h"
#include "serve/ctx.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS (10 * 60 * 1000)
#define PIECE       (64 * 1024)

/* ---- Moving ---- */

static bool send_some(cst_req *q)
{
    if (!q->out.n || q->fd < 0)
        return false;
    ssize_t n = send(q->fd, q->out.p, q->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        buf_consume(&q->out, (size_t)n);
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        buf_clear(&q->out); /* the server reads no more; what it has said is still there to read */
    return n > 0;
}

static void hear_end(cst_req *q, bool good)
{
    fd_close(&q->fd);
    q->ended = true;
    reply_end(&q->reply, good);
}

static size_t room(const cst_req *q)
{
    size_t n = q->end_at - q->reply.in.n;
    n = q->may < n ? q->may : n;
    return n < PIECE ? n : PIECE;
}

static bool read_some(cst_req *q)
{
    size_t n = q->fd < 0 ? 0 : room(q);
    if (!n)
        return false;
    ssize_t got = recv(q->fd, buf_reserve(&q->reply.in, n), n, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (got <= 0) {
        hear_end(q, got == 0);
        return true;
    }
    buf_added(&q->reply.in, (size_t)got);
    if (q->may != SIZE_MAX)
        q->may -= (size_t)got;
    reply_take(&q->reply);
    if (q->reply.in.n == q->end_at)
        fd_close(&q->fd);
    return true;
}

/* Who has closed its connection moves no more, but the test may still look at what it has got. */
bool kit_clients_move(struct cst *t)
{
    bool moved = false;
    for (cst_req *q, **at = &t->clients; (q = *at);) {
        q->fresh = false;
        moved |= send_some(q);
        moved |= read_some(q);
        if (q->fd >= 0) {
            at = &q->next;
            continue;
        }
        *at = q->next;
        q->next = t->past;
        t->past = q;
    }
    return moved;
}

void kit_clients_end(struct cst *t)
{
    for (cst_req *q = t->clients; q; q = q->next)
        if (!q->moving)
            fd_close(&q->fd);
}

static void free_all(cst_req *first)
{
    for (cst_req *q = first, *next; q; q = next) {
        next = q->next;
        fd_close(&q->fd);
        buf_free(&q->out);
        reply_free(&q->reply);
        free(q);
    }
}

void kit_clients_free(struct cst *t)
{
    free_all(t->clients);
    free_all(t->past);
}

/* ---- Beginning ---- */

static struct serve *serve_of(struct cst *t)
{
    if (!t->serve)
        kit_die(t->failed ? "the start hook has failed: nobody answers requests"
                          : "the primary takes no requests: they go to workers");
    return t->serve;
}

struct conn *kit_client_connection(cst_req *q, struct serve *s, int fd)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(50000)};
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    q->server = fd;
    return conn_new(s, fd, 0, (const struct sockaddr *)&peer);
}

static void connect_to(struct serve *s, cst_req *q)
{
    int pair[2];
    if (fd_pair(SOCK_STREAM, pair) < 0)
        kit_die("no sockets: %s", strerror(errno));
    q->fd = pair[0];
    list_add_tail(&s->fresh, &kit_client_connection(q, s, pair[1])->idle_node);
    q->fresh = true;
}

static cst_req *begin(struct cst *t)
{
    struct serve *s = serve_of(t);
    cst_req *q = mem_alloc(sizeof *q), **last = &t->clients;
    *q = (cst_req){.test = t, .may = SIZE_MAX, .end_at = SIZE_MAX};
    while (*last)
        last = &(*last)->next;
    *last = q;
    connect_to(s, q);
    return q;
}

cst_req *cst_begin_raw_str(struct cst *t, cs_str bytes)
{
    cst_req *q = begin(t);
    q->reply.to_head = str_starts(bytes, CS_S("HEAD "));
    buf_add_str(&q->out, bytes);
    return q;
}

/* The lines with the ends that HTTP wants. */
static cs_str header_lines(struct arena *a, const char *headers)
{
    struct buf out = {0};
    for (const char *p = headers; p && *p;) {
        size_t n = strcspn(p, "\r\n");
        if (n)
            buf_printf(&out, "%.*s\r\n", (int)n, p);
        p += n + strspn(p + n, "\r\n");
    }
    cs_str lines = arena_dup(a, buf_str(&out));
    buf_free(&out);
    return lines;
}

/* reply_field passes over the first line of a head. */
static bool has_field(cs_str request, const char *name)
{
    return reply_field(request, str_of(name)).p != NULL;
}

cst_req *cst_begin_str(struct cst *t, const char *method, const char *target, const char *headers,
                       cs_str body)
{
    cst_req *q = begin(t);
    struct buf *out = &q->out;
    cs_str lines = header_lines(&t->arena, headers);
    buf_printf(out, "%s %s HTTP/1.1\r\n%.*s", method, target, CS_F(lines));
    q->reply.to_head = strcmp(method, "HEAD") == 0;
    q->chunked = has_field(buf_str(out), "Transfer-Encoding");
    if (!has_field(buf_str(out), "Host"))
        buf_add_z(out, "Host: test\r\n");
    if (body.n && !q->chunked && !has_field(buf_str(out), "Content-Length"))
        buf_printf(out, "Content-Length: %zu\r\n", body.n);
    buf_add_z(out, "\r\n");
    if (body.n)
        cst_send_body_str(q, 1, body);
    return q;
}

void cst_send_body_str(cst_req *q, int last, cs_str data)
{
    char head[20];
    if (q->chunked && data.n)
        buf_add(&q->out, head, http_chunk_head(head, data.n));
    buf_add_str(&q->out, data);
    if (q->chunked && data.n)
        buf_add_z(&q->out, "\r\n");
    if (q->chunked && last)
        buf_add_z(&q->out, "0\r\n\r\n");
}

/* ---- Going on ---- */

cst_answer cst_so_far(cst_req *q)
{
    struct arena *a = &q->test->arena;
    const struct reply *r = &q->reply;
    cst_answer answer = {.size = sizeof answer, .status = r->status, .closed = q->ended};
    answer.whole = r->phase == REPLY_WHOLE;
    answer.body = arena_dup(a, r->body.n ? buf_str(&r->body) : CS_S(""));
    if (r->status)
        answer.head = arena_dup(a, (cs_str){r->in.p + r->head, r->head_end - r->head});
    return answer;
}

cs_str cst_rest(cst_req *q)
{
    const struct reply *r = &q->reply;
    return arena_dup(&q->test->arena,
                     (cs_str){r->in.p ? r->in.p + r->taken : "", r->in.n - r->taken});
}

static bool is_over(const cst_req *q)
{
    return q->fd < 0 || q->reply.phase >= REPLY_WHOLE;
}

cst_answer cst_finish(cst_req *q)
{
    struct cst *t = q->test;
    int64_t waited = 0, step = 1;
    q->may = SIZE_MAX;
    kit_run(t);
    while (!is_over(q) && step) {
        step = kit_skip(t, PATIENCE_MS - waited);
        waited += step;
        kit_run(t);
    }
    fd_close(&q->fd);
    kit_run(t);
    return cst_so_far(q);
}

cst_answer cst_request_str(struct cst *t, const char *method, const char *target,
                           const char *headers, cs_str body)
{
    return cst_finish(cst_begin_str(t, method, target, headers, body));
}

cst_answer cst_raw_str(struct cst *t, cs_str bytes)
{
    return cst_finish(cst_begin_raw_str(t, bytes));
}

/* The least that the kernel takes, so that it does not hide for long that nobody reads. */
void cst_slow(cst_req *q)
{
    int least = 1;
    if (q->fresh)
        setsockopt(q->server, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    q->may = 0;
}

size_t cst_read(cst_req *q, size_t n)
{
    size_t before = q->reply.in.n;
    q->may = n > SIZE_MAX - q->may ? SIZE_MAX : q->may + n;
    kit_run(q->test);
    if (q->may != SIZE_MAX)
        q->may = 0;
    return q->reply.in.n - before;
}

void cst_abort(cst_req *q)
{
    fd_close(&q->fd);
}

void cst_abort_at(cst_req *q, size_t n)
{
    q->end_at = n > q->reply.in.n ? n : q->reply.in.n;
    if (q->end_at == q->reply.in.n)
        fd_close(&q->fd);
}
