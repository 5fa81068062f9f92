#include "serve/out.h"

#include "base/check.h"
#include "module/crumb.h"
#include "serve/conn.h"
#include "serve/fetch.h"
#include "serve/request.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define OUT_VECTOR 64

/* What one connection may send before others are looked at: a client can be as fast as we are. */
#define OUT_TURN ((size_t)4 << 20)
/* ... and of a file with one look at what is in memory: the less, the less goes from there meanwhile. */
#define OUT_WARM ((size_t)1 << 20)

void out_init(struct out *o)
{
    *o = (struct out){.last = &o->first};
}

static void let_go(struct out_piece *p)
{
    int fd = p->p ? -1 : p->fd;
    if (p->release && p->module) {
        uint32_t was = crumb_enter(p->module, CRUMB_RELEASE);
        p->release(p->arg);
        crumb_leave(was);
    } else if (p->release) {
        p->release(p->arg);
    } else if (fd >= 0) {
        close(fd);
    }
}

/* Most pieces are memory of the request's. */
static inline void piece_release(struct out_piece *p)
{
    if (p->release || !p->p)
        let_go(p);
}

void out_add(struct out *o, struct out_piece *piece)
{
    if (!piece->n) {
        piece_release(piece);
        return;
    }
    piece->next = NULL;
    *o->last = piece;
    o->last = &piece->next;
    o->queued += piece->n;
}

void out_add_mem(struct out *o, struct arena *a, const char *p, size_t n)
{
    struct out_piece *piece = arena_alloc(a, sizeof *piece);
    *piece = (struct out_piece){.p = p, .n = n, .fd = -1};
    out_add(o, piece);
}

static void pop(struct out *o)
{
    struct out_piece *piece = o->first;
    o->first = piece->next;
    if (!o->first)
        o->last = &o->first;
    piece_release(piece);
}

/* Most answers leave as a whole. */
static void sent_all(struct out *o)
{
    struct out_piece *piece = o->first, *next;
    o->sent += o->queued;
    o->queued = 0;
    o->first = NULL;
    o->last = &o->first;
    for (; piece; piece = next) {
        next = piece->next;
        piece_release(piece);
    }
}

static void sent_some(struct out *o, size_t n)
{
    o->queued -= n;
    o->sent += n;
    while (n) {
        struct out_piece *piece = o->first;
        size_t part = n < piece->n ? n : piece->n;
        piece->n -= part;
        n -= part;
        if (piece->p)
            piece->p += part;
        if (!piece->n)
            pop(o);
    }
}

void out_drop(struct out *o)
{
    while (o->first)
        pop(o);
    o->queued = 0;
}

/* What one call can send: memory pieces of all requests up to the first file, which is told in
 * *file. */
struct batch {
    struct iovec v[OUT_VECTOR];
    int n;
    size_t bytes;
    struct request *file_owner;
};

static void gather(struct conn *c, struct batch *b)
{
    b->n = 0;
    b->bytes = 0;
    b->file_owner = NULL;
    for (struct request *r = c->first; r; r = r->next) {
        for (struct out_piece *p = r->out.first; p; p = p->next) {
            if (!p->p) {
                b->file_owner = r;
                return;
            }
            if (b->n == OUT_VECTOR)
                return;
            b->v[b->n++] = (struct iovec){.iov_base = (void *)(uintptr_t)p->p, .iov_len = p->n};
            b->bytes += p->n;
        }
        if (!r->complete)
            return;
    }
}

static void book(struct conn *c, size_t n)
{
    region_add(c->serve->slot, IPC_BYTES_OUT, n);
    c->sent += n;
    c->progress = true;
}

/* Books n sent bytes on the requests in order, and ends those that are over. */
static void settle(struct conn *c, size_t n)
{
    for (struct request *r; (r = c->first);) {
        if (n < r->out.queued) {
            sent_some(&r->out, n);
            return;
        }
        n -= (size_t)r->out.queued;
        sent_all(&r->out);
        if (!request_over(r)) {
            request_drained(r);
            return;
        }
        conn_pop(c);
    }
}

static enum out_result failure(struct conn *c, ssize_t rc)
{
    if (rc == -EAGAIN) {
        c->blocked = true;
        return OUT_BLOCKED;
    }
    c->broken = true;
    return OUT_BROKEN;
}

/* Its length has been promised. */
static enum out_result cut_short(struct conn *c, struct request *r, ssize_t rc)
{
    request_log(r, CS_WARN, NULL, "the file %s; closing",
                rc ? strerror((int)-rc) : "became shorter while it was being sent");
    return failure(c, -EIO);
}

/* What a thread has read. What the socket does not take is read again, and so much less is read then. */
static enum out_result send_read(struct conn *c, struct request *r)
{
    struct out_piece *p = r->out.first;
    const char *data;
    const ssize_t got = fetch_take(r, &data);
    if (got <= 0) {
        fetch_end(r);
        return cut_short(c, r, got);
    }
    const struct iovec v = {(void *)(uintptr_t)data, (size_t)got};
    const ssize_t sent = stream_send(&c->stream, &v, 1);
    fetch_end(r);
    if (sent < 0) {
        p->chunk = FETCH_LEAST;
        return failure(c, sent);
    }
    p->off += (uint64_t)sent;
    p->chunk = sent < FETCH_LEAST / 2 ? FETCH_LEAST : (unsigned)sent * 2;
    book(c, (size_t)sent);
    settle(c, (size_t)sent);
    c->blocked = sent < got;
    return c->blocked ? OUT_BLOCKED : OUT_DONE;
}

static enum out_result send_cold(struct conn *c, struct request *r)
{
    const struct out_piece *p = r->out.first;
    const size_t most = p->chunk ? p->chunk : FETCH_MOST;
    const size_t n = p->n < most ? p->n : most;
    if (r->fetch && !fetch_runs(r))
        return send_read(c, r);
    const int rc = r->fetch ? 0 : fetch_begin(r, p->fd, p->off, n, p->n - n);
    return rc < 0 ? cut_short(c, r, rc) : OUT_BLOCKED;
}

static enum out_result send_file(struct conn *c, struct request *r)
{
    struct out_piece *p = r->out.first;
    const size_t most = p->n < OUT_WARM ? p->n : OUT_WARM;
    const size_t n = r->fetch ? 0 : fetch_warm(p->fd, p->off, most);
    if (!n)
        return send_cold(c, r);
    const ssize_t sent = stream_send_file(&c->stream, p->fd, &p->off, n);
    if (sent == 0 || sent == -EIO)
        return cut_short(c, r, sent);
    if (sent < 0)
        return failure(c, sent);
    book(c, (size_t)sent);
    settle(c, (size_t)sent);
    return OUT_DONE;
}

enum out_result out_flush(struct conn *c)
{
    struct batch b;
    uint64_t start = c->sent;
    c->blocked = c->paused = false;
    for (;;) {
        if (c->first && !c->first->out.queued)
            settle(c, 0);
        if (!c->first)
            return OUT_DONE;
        gather(c, &b);
        if (c->sent - start >= OUT_TURN && (b.n || b.file_owner)) {
            c->paused = true; /* and writable: it comes back in the next turn */
            return OUT_BLOCKED;
        }
        if (b.n) {
            ssize_t sent = stream_send(&c->stream, b.v, b.n);
            if (sent < 0)
                return failure(c, sent);
            book(c, (size_t)sent);
            settle(c, (size_t)sent);
            if ((size_t)sent < b.bytes) {
                c->blocked = true;
                return OUT_BLOCKED;
            }
        } else if (b.file_owner) {
            enum out_result res = send_file(c, b.file_owner);
            if (res != OUT_DONE)
                return res;
        } else {
            return OUT_DONE;
        }
    }
}
