/* exchange_out.c - the request on its way: head, body, and what follows by exchange_send, in one call of the kernel where they
 * are there together. What it does not take is queued. A failure is only noted: the server may have answered before it closed
 * (413, say), so it is reading that tells the end. */
#include "net/exchange_parts.h"

#include <errno.h>

#define QUEUE_KEPT 16384 /* room of an empty queue that is not given back */

static size_t queued(const struct exchange *x)
{
    return x->queue.n - x->queue_off;
}

size_t exchange_out_waiting(const struct exchange *x)
{
    if (x->send_error)
        return 0;
    return x->opts.head.n - x->head_off + x->opts.body.n - x->body_off + queued(x);
}

bool exchange_out_is_done(const struct exchange *x)
{
    return x->last && !x->send_error && exchange_out_waiting(x) == 0;
}

void exchange_out_again(struct exchange *x)
{
    x->head_off = x->body_off = x->queue_off = 0;
    x->send_error = 0;
    x->sent = 0;
}

/* Takes up to *n of what stands at off. */
static size_t take(size_t whole, size_t off, size_t *n)
{
    size_t some = whole - off < *n ? whole - off : *n;
    *n -= some;
    return off + some;
}

static void empty_queue(struct exchange *x)
{
    x->queue_off = 0;
    if (x->queue.cap > QUEUE_KEPT)
        buf_free(&x->queue);
    else
        buf_clear(&x->queue);
}

static void send_waiting(struct exchange *x)
{
    struct iovec v[3];
    int n = 0;
    const cs_str parts[] = {x->opts.head, x->opts.body, buf_str(&x->queue)};
    const size_t off[] = {x->head_off, x->body_off, x->queue_off};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i].n > off[i])
            v[n++] = (struct iovec){(char *)(uintptr_t)parts[i].p + off[i], parts[i].n - off[i]};
    ssize_t sent = stream_send(&x->conn->stream, v, n);
    if (sent == -EAGAIN)
        return;
    if (sent < 0) {
        x->send_error = (int)-sent;
        return;
    }
    size_t left = (size_t)sent;
    x->sent += left;
    x->moved = true;
    x->head_off = take(x->opts.head.n, x->head_off, &left);
    x->body_off = take(x->opts.body.n, x->body_off, &left);
    x->queue_off = take(x->queue.n, x->queue_off, &left);
    if (queued(x) == 0)
        empty_queue(x);
}

/* The other side takes no more. Where no byte has reached it, another connection may still come, and the queue stays. */
static bool is_deaf(const struct exchange *x)
{
    return x->send_error && (x->sent > 0 || !x->reused);
}

bool exchange_out_flush(struct exchange *x)
{
    bool gone = false;
    if (exchange_out_waiting(x))
        send_waiting(x);
    if (!x->drain || (x->send_error ? !is_deaf(x) : exchange_out_waiting(x) > 0))
        return true;
    x->drain = false;
    x->gone = &gone;
    x->on_drain(x);
    if (gone)
        return false;
    x->gone = NULL;
    return true;
}

/* Drops what was sent of the queue, where that is much: each byte is moved once at most, as it were. */
static void compact(struct exchange *x)
{
    if (x->queue_off < x->queue.n / 2)
        return;
    buf_consume(&x->queue, x->queue_off);
    x->queue_off = 0;
}

/* Sends the pieces, or queues what is left of them. */
static void push(struct exchange *x, const struct iovec *v, int n)
{
    size_t done = 0;
    if (x->conn && exchange_out_waiting(x) == 0 && !x->send_error) {
        ssize_t sent = stream_send(&x->conn->stream, v, n);
        if (sent > 0) {
            done = (size_t)sent;
            x->sent += done;
            x->moved = true;
        } else if (sent != -EAGAIN) {
            x->send_error = (int)-sent;
        }
    }
    compact(x);
    for (int i = 0; i < n; i++) {
        size_t skip = done < v[i].iov_len ? done : v[i].iov_len;
        done -= skip;
        if (v[i].iov_len > skip)
            buf_add(&x->queue, (const char *)v[i].iov_base + skip, v[i].iov_len - skip);
    }
}

static struct iovec piece(const char *p, size_t n)
{
    return (struct iovec){(char *)(uintptr_t)p, n};
}

static void push_chunk(struct exchange *x, cs_str data, bool last)
{
    static const char end[] = "\r\n0\r\n\r\n";
    char head[20];
    struct iovec v[3];
    int n = 0;
    if (data.n) {
        v[n++] = piece(head, http_chunk_head(head, data.n));
        v[n++] = piece(data.p, data.n);
        v[n++] = piece(end, last ? sizeof end - 1 : 2);
    } else if (last) {
        v[n++] = piece(end + 2, sizeof end - 3);
    }
    if (n)
        push(x, v, n);
}

int exchange_send(struct exchange *x, cs_str data, bool last)
{
    if (!x->phase || is_deaf(x))
        return CS_CLOSED;
    check(x->opts.body_follows && !x->last);
    struct iovec whole = piece(data.p, data.n);
    if (x->opts.chunked)
        push_chunk(x, data, last);
    else if (data.n)
        push(x, &whole, 1);
    x->last = last;
    loop_later(x->opts.upstreams->loop, &x->task);
    if (is_deaf(x))
        return CS_CLOSED;
    if (last || queued(x) <= EXCHANGE_QUEUE_MAX)
        return CS_OK;
    x->drain = true;
    return CS_AGAIN;
}
