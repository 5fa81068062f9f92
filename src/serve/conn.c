#include "serve/conn.h"

#include "base/clock.h"
#include "base/mem.h"
#include "os/sock.h"
#include "serve/accept.h"
#include "serve/body.h"
#include "serve/client.h"
#include "serve/feed.h"
#include "serve/giver.h"
#include "serve/handle.h"
#include "serve/jump.h"
#include "serve/limit.h"
#include "serve/request.h"
#include "serve/respond.h"

#include <errno.h>
#include <stdlib.h>

#define CONN_MAGIC   0x434f4e31u
#define QUEUE_MAX    64           /* requests answered between two writes */
#define AHEAD_MAX    (256 * 1024) /* and bytes of their answers */
#define LINGER_MS    2000
#define LINGER_BYTES (16 * 1024) /* so many within that time, and it goes on */
#define LINGER_MAX   30000       /* in all */
#define LINGER_READS 16          /* before others are looked at */
#define LOOKS        4           /* at a client that takes nothing, within write_timeout */

static void on_ready(struct loop_io *io, uint32_t events);
static void on_timer(struct timer *t);
static void on_task(struct loop_task *t);
static void on_burial(struct loop_task *t);
static void run(struct conn *c);

bool conn_is_io(const struct loop_io *io)
{
    return io->on_ready == on_ready;
}

static void count_open(struct serve *s, unsigned n)
{
    s->nconns = n;
    atomic_store_explicit(&s->slot->active, (int32_t)n, memory_order_relaxed);
    accept_refit(s);
}

static struct conn *make(struct serve *s, int fd, unsigned listener, const struct sockaddr *peer,
                         socklen_t peer_len)
{
    struct conn *c = mem_alloc(sizeof *c);
    c->magic = CONN_MAGIC;
    c->serve = s;
    c->stream.fd = fd;
    c->io = (struct loop_io){.on_ready = on_ready, .fd = fd};
    c->task.run = on_task;
    list_init(&c->task.node);
    c->burial.run = on_burial;
    list_init(&c->burial.node);
    timer_init(&c->timer, on_timer);
    list_init(&c->idle_node);
    list_add_tail(&s->conns, &c->node);
    c->last = &c->first;
    c->listener = (uint8_t)listener;
    if (peer_len <= sizeof c->peer) {
        memcpy(&c->peer, peer, peer_len);
        c->peer_len = peer_len;
    }
    count_open(s, s->nconns + 1);
    return c;
}

struct conn *conn_new(struct serve *s, int fd, unsigned listener, const struct sockaddr *peer,
                      socklen_t peer_len)
{
    serve_count_one(s, IPC_CONNECTIONS);
    struct conn *c = make(s, fd, listener, peer, peer_len);
    c->preamble = s->plan->listeners[listener].conf->proxy_protocol;
    return c;
}

struct conn *conn_moved(struct serve *s, int fd, unsigned listener, const struct sockaddr *peer,
                        socklen_t peer_len)
{
    struct conn *c = make(s, fd, listener, peer, peer_len);
    c->shared = true;
    return c;
}

static void set_idle(struct conn *c, bool idle)
{
    struct serve *s = c->serve;
    if (c->idle == idle)
        return;
    c->idle = idle;
    s->nidle += idle ? 1 : -1;
    atomic_store_explicit(&s->slot->idle, s->nidle, memory_order_relaxed);
}

cs_str conn_peer(struct conn *c)
{
    char text[SOCK_TEXT_MAX] = "unix:";
    if (!c->npeer) {
        size_t n = 5;
        if (c->peer_len >= sizeof c->peer.sa.sa_family && c->peer.sa.sa_family != AF_UNIX)
            n = sock_peer_text(&c->peer.sa, c->peer_len, text);
        c->npeer = (uint8_t)(n < sizeof c->peer_text ? n : sizeof c->peer_text);
        memcpy(c->peer_text, text, c->npeer);
    }
    return (cs_str){c->peer_text, c->npeer};
}

bool conn_is_idle(const struct conn *c)
{
    return !c->current && !c->first && !c->feed && !c->lingering && c->in_off == c->in_len;
}

void conn_close(struct conn *c)
{
    struct serve *s = c->serve;
    if (c->closed)
        return;
    c->closed = true;
    timer_clear(&s->loop->timers, &c->timer);
    list_remove(&c->node);
    list_remove(&c->idle_node);
    set_idle(c, false);
    if (c->giving == CONN_SENT)
        giver_forget(s->giver, c);
    if (c->shared)
        loop_set(s->loop, &c->io, 0); /* epoll only forgets by itself what nobody has any more */
    loop_forget(s->loop, &c->io);
    for (const struct request *r = c->first; r; r = r->next)
        c->torn = c->torn || (r->to_end && !(r->complete && !r->out.queued));
    if (c->torn)
        stream_reset(&c->stream);
    else
        stream_close(&c->stream);
    while (c->first) {
        c->first->cut = true;
        conn_pop(c);
    }
    if (c->feed)
        feed_end(c->feed);
    inbuf_release(s, c->in);
    c->in = NULL;
    count_open(s, s->nconns - 1);
    loop_later(s->loop, &c->burial);
}

/* A task that was queued before the burial has run by then: tasks run in order. */
static void on_burial(struct loop_task *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, burial);
    MAGIC_CHECK(c, CONN_MAGIC);
    c->magic = 0;
    free(c);
}

void conn_pop(struct conn *c)
{
    struct request *r = c->first;
    c->first = r->next;
    if (!c->first)
        c->last = &c->first;
    c->queue--;
    if (c->current == r)
        c->current = NULL;
    if (!r->keep_alive)
        c->last_one = true;
    request_end(r);
}

/* ---- Deadlines: a store on the hot path; the timer itself is only moved when it would fire too
 * late. */

static void set_deadline(struct conn *c, enum conn_wait wait, int64_t ms)
{
    c->wait = ms ? wait : CONN_WAIT_NONE;
    if (!ms)
        return;
    c->deadline = clock_ms() + (uint64_t)ms;
    if (!timer_is_set(&c->timer) || c->timer.due > c->deadline)
        timer_set(&c->serve->loop->timers, &c->timer, (uint64_t)ms);
}

static void refuse_late(struct conn *c, enum ipc_counter counter)
{
    struct request *r = c->current;
    serve_count_one(c->serve, counter);
    if (!r || r->answered) {
        conn_close(c);
        return;
    }
    respond_refuse(r, 408);
    run(c);
}

/* The kernel's buffer can be so large that it asks for more only every few minutes, so progress is
 * looked for in the socket, four times within the limit. */
static int64_t look_ms(int64_t write_timeout)
{
    return (write_timeout + LOOKS - 1) / LOOKS;
}

static void look_at_progress(struct conn *c)
{
    int unsent = stream_unsent(&c->stream);
    c->silent = unsent == c->unsent ? (uint8_t)(c->silent + 1) : 0;
    c->unsent = unsent;
    if (c->silent < LOOKS - 1) {
        set_deadline(c, CONN_WAIT_WRITE, look_ms(limit_write(c)));
        return;
    }
    serve_count_one(c->serve, IPC_TIMEOUT_WRITE);
    if (c->first)
        limit_tell(c->first, NULL, CONF_WRITE_TIMEOUT, "the client takes nothing of its answer");
    conn_close(c);
}

/* A client that sends all before it reads our answer gets the time for that, one that drips does not. */
static void linger_on(struct conn *c, uint64_t now)
{
    if (c->dropped < LINGER_BYTES || now >= c->linger_until) {
        conn_close(c);
        return;
    }
    c->dropped = 0;
    set_deadline(c, CONN_WAIT_LINGER, LINGER_MS);
}

static void on_timer(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    uint64_t now = clock_ms();
    if (c->wait == CONN_WAIT_NONE)
        return;
    if (now < c->deadline) {
        timer_set(&c->serve->loop->timers, t, c->deadline - now);
        return;
    }
    switch (c->wait) {
    case CONN_WAIT_HEAD:
        refuse_late(c, IPC_TIMEOUT_HEAD);
        break;
    case CONN_WAIT_BODY:
        limit_tell(c->current, NULL, CONF_BODY_TIMEOUT, "the rest of the body does not come");
        refuse_late(c, IPC_TIMEOUT_BODY);
        break;
    case CONN_WAIT_IDLE:
        serve_count_one(c->serve, IPC_TIMEOUT_IDLE);
        conn_close(c);
        break;
    case CONN_WAIT_WRITE:
        look_at_progress(c);
        break;
    case CONN_WAIT_LINGER:
        linger_on(c, now);
        break;
    case CONN_WAIT_NONE:
        conn_close(c);
        break;
    }
}

/* ---- Input ---- */

static size_t in_room(const struct conn *c)
{
    return c->in ? c->in->cap - c->in_len : 1;
}

/* More can be read as long as the unread bytes leave some of a buffer free: make_room finds or makes it. */
static bool can_read(const struct conn *c)
{
    return !c->eof && (!c->in || c->in_len - c->in_off < c->in->cap);
}

/* Makes room behind the unread bytes. What a request still points into is left where it is. */
static void make_room(struct conn *c)
{
    struct serve *s = c->serve;
    if (!c->in) {
        c->in = inbuf_new(s, 0);
        c->in_off = c->in_len = 0;
        return;
    }
    size_t left = c->in_len - c->in_off;
    if (c->in->refs == 1) {
        if (left && c->in_off && in_room(c) < c->in->cap / 4)
            memmove(c->in->data, c->in->data + c->in_off, left);
        else if (left)
            return;
        c->in_off = 0;
        c->in_len = left;
    } else if (!in_room(c) && left < c->in->cap) {
        struct inbuf *b = inbuf_new(s, left);
        memcpy(b->data, c->in->data + c->in_off, left);
        inbuf_release(s, c->in);
        c->in = b;
        c->in_off = 0;
        c->in_len = left;
    }
}

/* One recv. False when there was nothing to read. */
static bool fill(struct conn *c)
{
    make_room(c);
    size_t room = in_room(c);
    if (!room)
        return false;
    ssize_t n = stream_recv(&c->stream, c->in->data + c->in_len, room);
    if (n == -EAGAIN)
        return false;
    if (n < 0)
        c->broken = true;
    else if (n == 0)
        c->eof = true;
    else
        c->in_len += (size_t)n;
    if (n > 0)
        region_add(c->serve->slot, IPC_BYTES_IN, (uint64_t)n);
    return true;
}

static void drop_unread(struct conn *c)
{
    inbuf_release(c->serve, c->in);
    c->in = NULL;
    c->in_off = c->in_len = 0;
}

/* Reads, so many times at most, what nobody wants. */
static void drop_input(struct conn *c, int times)
{
    char waste[16 * 1024];
    ssize_t n = 1;
    while (n > 0 && times--) {
        n = stream_recv(&c->stream, waste, sizeof waste);
        c->dropped += n > 0 ? (size_t)n : 0;
    }
    c->eof = c->eof || n == 0;
    c->broken = c->broken || (n < 0 && n != -EAGAIN);
}

/* The client still sends, or has seen the end. */
static void linger(struct conn *c)
{
    drop_input(c, LINGER_READS);
    if (c->eof || c->broken)
        conn_close(c);
}

/* The balancer's word, once, before all heads. True when the connection has moved on. */
static bool read_preamble(struct conn *c)
{
    long n = client_read_proxy(c);
    if (n < 0)
        c->broken = true;
    if (n <= 0)
        return false;
    c->in_off += (size_t)n;
    c->preamble = false;
    return true;
}

/* Parses the head at in_off. True when the connection has moved on. */
static bool read_head(struct conn *c)
{
    struct serve *s = c->serve;
    struct request *r = c->current;
    if (!r) {
        r = request_new(c);
        c->current = r;
        *c->last = r;
        c->last = &r->next;
        c->queue++;
    }
    /* The limit may have grown since the buffer was made. */
    size_t most = (size_t)s->limits->max_head;
    struct http_limits lim = {.max_head = most < c->in->cap ? most : c->in->cap,
                              .max_uri = (size_t)s->limits->max_uri,
                              .max_headers = (size_t)s->limits->max_headers};
    long n = http_head_parse(&r->head, c->in->data + c->in_off, c->in_len - c->in_off, &lim);
    if (n == 0)
        return false;
    c->requests++;
    c->wait = CONN_WAIT_NONE; /* the next head has a limit of its own */
    r->reading = false;
    if (n < 0) {
        r->refused = true;
        serve_count_one(s, n == -431 || n == -414 ? IPC_LIMIT_HEAD : IPC_BAD_REQUEST);
        request_log(r, CS_INFO, NULL, "request refused with %ld: %s", -n, r->head.error);
        respond_refuse(r, (int)-n);
        return true;
    }
    r->in = c->in;
    c->in->refs++;
    c->in_off += (size_t)n;
    request_begin(r);
    return true;
}

/* Goes one step on with what has been read. False when it needs more input, an answer, or an empty
 * socket. */
static bool step(struct conn *c)
{
    struct request *r = c->current;
    if (!r || r->reading) {
        if (c->last_one || c->broken || c->in_off == c->in_len || c->queue > QUEUE_MAX)
            return false;
        return c->preamble ? read_preamble(c) : read_head(c);
    }
    if (r->proceed) {
        handle_proceed(r);
        return true;
    }
    if (r->jumping) {
        jump_run(r);
        return true;
    }
    if (body_hungry(r)) {
        size_t left = c->in_len - c->in_off;
        long used = body_feed(r, c->in ? c->in->data + c->in_off : NULL, left);
        if (used < 0) {
            serve_count_one(c->serve, used == -413 ? IPC_LIMIT_BODY : IPC_BAD_REQUEST);
            if (used == -413)
                limit_tell(r, NULL, CONF_MAX_BODY, "body refused");
            respond_refuse(r, (int)-used);
            return true;
        }
        c->in_off += (size_t)used;
        if (used > 0 || r->jumping)
            return true;
    }
    if (!request_over(r))
        return false;
    c->current = NULL;
    c->ahead += r->out.queued;
    if (!r->keep_alive)
        c->last_one = true;
    return true;
}

/* ---- The end ---- */

/* Closing a socket with unread input resets it, and the reset may overtake the answer: so the
 * client is first told that there is no more, and its input is read until it closes too. */
static void finish(struct conn *c)
{
    if (c->shared)
        stream_shut(&c->stream);
    if (c->torn || c->eof || !(c->unread || c->in_off < c->in_len)) {
        conn_close(c);
        return;
    }
    c->lingering = true;
    c->dropped = 0;
    drop_unread(c);
    stream_shut(&c->stream);
    c->linger_until = clock_ms() + LINGER_MAX;
    set_deadline(c, CONN_WAIT_LINGER, LINGER_MS);
    if (loop_set(c->serve->loop, &c->io, EPOLLIN))
        conn_close(c);
    else
        linger(c);
}

void conn_hurry(struct conn *c)
{
    if (c->wait == CONN_WAIT_NONE || c->deadline > clock_ms() + CONN_LEAVE_MS)
        set_deadline(c, CONN_WAIT_IDLE, CONN_LEAVE_MS);
}

static void go_idle(struct conn *c)
{
    struct serve *s = c->serve;
    drop_unread(c);
    if (list_empty(&c->idle_node))
        list_add_tail(&s->idle, &c->idle_node);
    set_idle(c, true);
    if (c->requests)
        set_deadline(c, CONN_WAIT_IDLE, s->limits->keepalive_timeout);
    else if (c->wait != CONN_WAIT_HEAD)
        set_deadline(c, CONN_WAIT_HEAD, s->limits->head_timeout);
    if (s->leaving)
        conn_hurry(c);
}

/* What the connection waits for now, and until when. */
static void await(struct conn *c)
{
    struct request *r = c->current;
    if (conn_must_wait(c)) {
        if (c->wait != CONN_WAIT_WRITE || c->progress) {
            set_deadline(c, CONN_WAIT_WRITE, look_ms(limit_write(c)));
            c->silent = 0;
            c->unsent = -1;
        }
        c->progress = false;
    } else if (c->feed) {
        c->wait = CONN_WAIT_NONE;
    } else if (!r && c->preamble && c->in_off < c->in_len) {
        return; /* conn_begin has set the limit, which is for the head, too */
    } else if (!r) {
        go_idle(c);
    } else if (r->reading) {
        if (c->wait != CONN_WAIT_HEAD)
            set_deadline(c, CONN_WAIT_HEAD, c->serve->limits->head_timeout);
    } else if (body_hungry(r)) {
        set_deadline(c, CONN_WAIT_BODY, limit_of(r, CONF_BODY_TIMEOUT));
    } else {
        c->wait = CONN_WAIT_NONE;
    }
}

/* EPOLLIN stays registered though it is not wanted until it fires once: that saves two calls for
 * most requests that wait. */
static void watch(struct conn *c, bool unwanted_fired)
{
    bool want_read = can_read(c);
    uint32_t events = c->io.events & EPOLLIN;
    if (want_read)
        events = EPOLLIN;
    else if (unwanted_fired || c->eof)
        events = 0;
    if (conn_must_wait(c))
        events |= EPOLLOUT;
    if (!events)
        events = EPOLLERR; /* nothing but the end of the connection, which always comes */
    if (loop_set(c->serve->loop, &c->io, events))
        conn_close(c);
}

/* The requests have ended, the stream goes on. A client that sends no more has ended it, unless all that is to come is the
 * rest of what it has been given. */
static void run_feed(struct conn *c)
{
    if (c->giving == CONN_SENT)
        return;
    drop_unread(c);
    enum out_result res = feed_flush(c->feed);
    if (res == OUT_BROKEN || (c->eof && !feed_is_closed(c->feed))) {
        conn_close(c);
    } else if (res == OUT_DONE && c->feed->closing) {
        feed_end(c->feed);
        finish(c);
    } else {
        await(c);
        watch(c, false);
        if (res == OUT_DONE && c->giving == CONN_BUSY && !c->closed)
            giver_ready(c->serve->giver, c);
    }
}

/* The client of a stream has nothing to say, and may do that as long as it likes: it gets no more of a turn than one that
 * asks something. */
static void hear_feed(struct conn *c, uint32_t events)
{
    if (events & EPOLLIN)
        drop_input(c, 1);
    else if (events & (EPOLLERR | EPOLLHUP))
        c->broken = true;
    if (c->broken)
        conn_close(c);
    else
        run_feed(c);
}

static void run(struct conn *c)
{
    bool more = true;
    c->running = true;
    while (more && !c->broken) {
        while (!conn_must_wait(c) && c->ahead < AHEAD_MAX && step(c))
            ;
        if (out_flush(c) != OUT_DONE)
            break;
        c->ahead = 0;
        more = step(c) || (c->first && c->first->out.queued);
    }
    c->running = false;
    if (c->broken)
        conn_close(c);
    else if (!c->first && c->feed)
        run_feed(c);
    else if (!c->first && (c->last_one || (c->eof && !c->current)))
        finish(c);
    else if (c->eof && !conn_must_wait(c) && c->current &&
             (c->current->reading || body_hungry(c->current)))
        conn_close(c);
    else {
        await(c);
        watch(c, false);
    }
}

void conn_begin(struct conn *c)
{
    set_deadline(c, CONN_WAIT_HEAD, c->serve->limits->head_timeout);
    fill(c);
    run(c);
}

void conn_wake(struct conn *c)
{
    if (!c->running && !c->closed)
        loop_later(c->serve->loop, &c->task);
}

void conn_push(struct conn *c)
{
    if (!c->running && !c->closed && !c->broken && !c->first && !conn_must_wait(c))
        run_feed(c);
}

void conn_freeze(struct conn *c)
{
    c->giving = CONN_SENT;
    c->wait = CONN_WAIT_NONE;
    loop_set(c->serve->loop, &c->io, 0);
}

void conn_thaw(struct conn *c)
{
    c->giving = CONN_NOT_GIVEN;
    feed_thaw(c->feed);
    conn_wake(c);
}

void conn_break(struct conn *c)
{
    c->broken = true;
    conn_wake(c);
}

/* run() takes no step while the client takes nothing, but what cs_proceed leaves to others goes on. */
static void on_task(struct loop_task *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, task);
    if (c->closed)
        return;
    if (c->blocked && !c->broken && c->current && c->current->proceed)
        handle_proceed(c->current);
    run(c);
}

static void on_ready(struct loop_io *io, uint32_t events)
{
    struct conn *c = CONTAINER_OF(io, struct conn, io);
    if (c->lingering) {
        linger(c);
        return;
    }
    if (c->feed && !c->first) {
        hear_feed(c, events);
        return;
    }
    if (!list_empty(&c->idle_node))
        list_remove(&c->idle_node);
    set_idle(c, false);
    if (events & EPOLLIN) {
        if (!fill(c) && !can_read(c)) {
            watch(c, true);
            if (c->closed)
                return;
        }
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        c->broken = true;
    }
    run(c);
}
