/* origin_conn.c - the far end of connections to other servers: takes requests, which are kept for the test to look at, and
 * sends what it says. */
#include "kit/origin.h"

#include "base/mem.h"
#include "http/status.h"
#include "kit/kit.h"
#include "os/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PIECE (64 * 1024)

int origin_connect(struct origins *o, struct origin *to)
{
    int pair[2];
    struct origin_conn *c, **last = &o->conns;
    int rc = fd_pair(SOCK_STREAM, pair);
    if (rc < 0)
        return rc;
    while (*last)
        last = &(*last)->next;
    *last = c = mem_alloc(sizeof *c);
    c->origin = to;
    c->fd = pair[0];
    c->number = o->nconns++;
    return pair[1];
}

void origin_conn_end(struct origin_conn *c)
{
    c->closing = true;
}

void origin_conn_cut(struct origin_conn *c)
{
    fd_close(&c->fd);
}

/* ---- Answers ---- */

void visit_answer(struct visit *a, const struct origin_answer *answer)
{
    if (!a->conn)
        return;
    struct buf *out = &a->conn->out;
    buf_add_str(out, http_status_line(answer->status));
    if (answer->type)
        buf_printf(out, "Content-Type: %s\r\n", answer->type);
    if (!http_status_bodiless(answer->status))
        buf_printf(out, "Content-Length: %zu\r\n", answer->body.n);
    buf_add_z(out, "\r\n");
    if (!a->request.to_head && !http_status_bodiless(answer->status))
        buf_add_str(out, answer->body);
}

/* One without a query is for all queries. */
static bool is_for(const struct origin_answer *a, cs_str target)
{
    const char *mark =
        memchr(a->target.p, '?', a->target.n) ? NULL : memchr(target.p, '?', target.n);
    return str_eq(a->target, (cs_str){target.p, mark ? (size_t)(mark - target.p) : target.n});
}

static void answer_unvisits(struct visit *a)
{
    const struct reply *r = &a->request;
    const char *target = (const char *)memchr(r->in.p + r->head, ' ', r->head_end - r->head) + 1;
    const char *end = memchr(target, ' ', (size_t)(r->in.p + r->head_end - target));
    const struct origin_answer *it = a->origin->answers;
    while (it && !is_for(it, (cs_str){target, (size_t)(end - target)}))
        it = it->next;
    if (it)
        visit_answer(a, it);
}

/* ---- Requests ---- */

static struct visit *new_visit(struct origins *o, struct origin_conn *c)
{
    struct visit *a = mem_alloc(sizeof *a);
    *a = (struct visit){.origin = c->origin, .conn = c, .connection = c->number};
    a->request.is_request = true;
    o->visits = kit_grow(o->visits, o->nvisits, &o->cap_visits, sizeof *o->visits);
    o->visits[o->nvisits++] = a;
    return a;
}

/* What has come belongs to the request at hand, or begins another one. */
static void take(struct origins *o, struct origin_conn *c)
{
    struct reply *r;
    if (!c->visit || c->visit->request.phase >= REPLY_WHOLE) {
        if (!memmem(c->in.p, c->in.n, "\r\n\r\n", 4))
            return;
        c->visit = new_visit(o, c);
    }
    r = &c->visit->request;
    buf_add_str(&r->in, buf_str(&c->in));
    buf_clear(&c->in);
    reply_take(r);
    if (r->phase < REPLY_WHOLE)
        return;
    buf_add(&c->in, r->in.p + r->taken, r->in.n - r->taken);
    answer_unvisits(c->visit);
    if (c->in.n)
        take(o, c);
}

static bool read_some(struct origins *o, struct origin_conn *c)
{
    if (c->fd < 0 || c->origin->how == CST_STALLED)
        return false;
    ssize_t got = recv(c->fd, buf_reserve(&c->in, PIECE), PIECE, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (got <= 0) {
        origin_conn_cut(c);
        return true;
    }
    buf_added(&c->in, (size_t)got);
    take(o, c);
    return true;
}

static bool send_some(struct origin_conn *c)
{
    bool moved = false;
    if (c->out.n && c->fd >= 0) {
        ssize_t n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            buf_consume(&c->out, (size_t)n);
        else if (errno != EAGAIN && errno != EWOULDBLOCK)
            origin_conn_cut(c);
        moved = n > 0 || c->fd < 0;
    }
    if (c->closing && !c->out.n && c->fd >= 0) {
        origin_conn_cut(c);
        moved = true;
    }
    return moved;
}

static void free_conn(struct origins *o, struct origin_conn *c)
{
    for (size_t i = 0; i < o->nvisits; i++)
        if (o->visits[i]->conn == c)
            o->visits[i]->conn = NULL;
    fd_close(&c->fd);
    buf_free(&c->out);
    buf_free(&c->in);
    free(c);
}

bool origins_move(struct origins *o)
{
    bool moved = false;
    for (struct origin_conn *c, **at = &o->conns; (c = *at);) {
        moved |= read_some(o, c);
        moved |= send_some(c);
        if (c->fd >= 0) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free_conn(o, c);
        moved = true;
    }
    return moved;
}

void origins_end(struct origins *o)
{
    for (struct origin_conn *c; (c = o->conns);) {
        o->conns = c->next;
        free_conn(o, c);
    }
}

void origins_free(struct origins *o)
{
    origins_end(o);
    for (size_t i = 0; i < o->nvisits; i++) {
        reply_free(&o->visits[i]->request);
        free(o->visits[i]);
    }
    free(o->visits);
}
