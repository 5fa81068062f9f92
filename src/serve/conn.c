#include "serve/conn.h"

#include "base/mem.h"
#include "serve/accept.h"
#include "serve/body.h"
#include "serve/deadline.h"
#include "serve/errand.h"
#include "serve/feed.h"
#include "serve/fetch.h"
#include "serve/giver.h"
#include "serve/handle.h"
#include "serve/idle.h"
#include "serve/intake.h"
#include "serve/limit.h"
#include "serve/linger.h"
#include "serve/request.h"
#include "serve/step.h"

#include <stdlib.h>

#define CONN_MAGIC 0x434f4e31u
#define AHEAD_MAX  (256 * 1024) /* bytes of answers that are made between two writes */

static void on_ready(struct loop_io *io, uint32_t events);
static void on_task(struct loop_task *t);
static void on_burial(struct loop_task *t);

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

static struct conn *make(struct serve *s, int fd, unsigned listener, const struct sockaddr *peer)
{
    struct conn *c = mem_alloc(sizeof *c);
    c->magic = CONN_MAGIC;
    c->serve = s;
    c->stream.fd = fd;
    c->io = (struct loop_io){.on_ready = on_ready, .fd = fd};
    c->task.run = on_task;
    list_init(&c->task.node);
    deadline_init(c);
    list_init(&c->idle_node);
    list_add_tail(&s->conns, &c->node);
    c->last = &c->first;
    c->listener = (uint8_t)listener;
    c->by_ip = peer && cidr_addr_of(peer, &c->peer);
    return c;
}

struct conn *conn_new(struct serve *s, int fd, unsigned listener, const struct sockaddr *peer)
{
    serve_count_one(s, IPC_CONNECTIONS);
    struct conn *c = make(s, fd, listener, peer);
    count_open(s, s->nconns + 1);
    c->preamble = s->plan->listeners[listener].conf->proxy_protocol;
    return c;
}

struct conn *conn_moved(struct serve *s, int fd, unsigned listener, const struct sockaddr *peer)
{
    struct conn *c = make(s, fd, listener, peer);
    count_open(s, s->nconns + 1);
    c->shared = true;
    return c;
}

struct conn *conn_inner(struct request *r, int fd, struct errand *outer)
{
    struct conn *c = make(r->serve, fd, r->conn->listener, NULL);
    c->outer = outer;
    c->depth = (uint8_t)(r->conn->depth + 1);
    c->told = request_client_addr(r, &c->client);
    c->by_ip = r->conn->by_ip;
    c->peer = r->conn->peer;
    return c;
}

cs_str conn_peer(const struct conn *c, char room[CIDR_TEXT_MAX])
{
    return c->by_ip ? (cs_str){room, cidr_addr_text(&c->peer, room)} : CS_S("unix:");
}

bool conn_is_idle(const struct conn *c)
{
    return !c->current && !c->first && !c->feed && !c->lingering && c->in_off == c->in_len;
}

/* Tasks run in order: those that were queued before it, and may know the connection, have run by then. */
static void bury(struct conn *c)
{
    list_remove(&c->task.node);
    c->task.run = on_burial;
    loop_later(c->serve->loop, &c->task);
}

void conn_close(struct conn *c)
{
    struct serve *s = c->serve;
    if (c->closed)
        return;
    c->closed = true;
    timer_clear(&s->loop->timers, &c->timer);
    list_remove(&c->node);
    idle_leave(c);
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
    intake_drop(c);
    if (c->outer)
        errand_lost(c->outer);
    if (!c->depth)
        count_open(s, s->nconns - 1);
    bury(c);
}

static void on_burial(struct loop_task *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, task);
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

/* ---- The end ---- */

static void finish(struct conn *c)
{
    if (c->shared)
        stream_shut(&c->stream);
    if (c->torn || c->eof || !(c->unread || c->in_off < c->in_len)) {
        conn_close(c);
        return;
    }
    linger_begin(c);
}

/* What the connection waits for now, and until when. */
static void await(struct conn *c)
{
    struct request *r = c->current;
    if (c->depth && conn_must_wait(c) && !fetch_holds(c)) {
        deadline_none(c); /* who has asked takes its time, and has limits of its own */
    } else if (conn_must_wait(c) || fetch_holds(c)) {
        deadline_set_write(c);
    } else if (c->feed) {
        deadline_none(c);
    } else if (!r && c->preamble && c->in_off < c->in_len) {
        return; /* conn_begin has set the limit, which is for the head, too */
    } else if (!r) {
        if (!c->depth) /* it is not for anybody else to end */
            idle_enter(c);
    } else if (r->reading) {
        if (c->wait != CONN_WAIT_HEAD)
            deadline_set(c, CONN_WAIT_HEAD, c->serve->limits->head_timeout);
    } else if (body_hungry(r)) {
        deadline_set(c, CONN_WAIT_BODY, limit_of(r, CONF_BODY_TIMEOUT));
    } else {
        deadline_none(c);
    }
}

/* EPOLLIN stays registered though it is not wanted until it fires once: that saves two calls for
 * most requests that wait. */
static void watch(struct conn *c, bool unwanted_fired)
{
    bool want_read = intake_can_fill(c);
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
    intake_drop(c);
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
        intake_waste(c, 1);
    else if (events & (EPOLLERR | EPOLLHUP))
        c->broken = true;
    if (c->broken)
        conn_close(c);
    else
        run_feed(c);
}

/* The socket has no room, and who waits for that is told when there is. */
static bool is_stuck(const struct conn *c, bool writable)
{
    return c->blocked && !writable && c->first && c->first->out.queued;
}

static void run(struct conn *c, bool writable)
{
    bool more = true;
    c->running = true;
    while (more && !c->broken) {
        while (!conn_must_wait(c) && c->ahead < AHEAD_MAX && step(c))
            ;
        if (is_stuck(c, writable) || out_flush(c) != OUT_DONE)
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
    else if (c->eof && !conn_must_wait(c) && !fetch_holds(c) && c->current &&
             (c->current->reading || body_hungry(c->current)))
        conn_close(c);
    else {
        await(c);
        watch(c, false);
    }
}

void conn_begin(struct conn *c)
{
    deadline_set(c, CONN_WAIT_HEAD, c->serve->limits->head_timeout);
    intake_fill(c);
    run(c, true);
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
    deadline_none(c);
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
    run(c, false);
}

static void on_ready(struct loop_io *io, uint32_t events)
{
    struct conn *c = CONTAINER_OF(io, struct conn, io);
    if (c->lingering) {
        linger_hear(c);
        return;
    }
    if (c->feed && !c->first) {
        hear_feed(c, events);
        return;
    }
    idle_leave(c);
    if (events & EPOLLIN) {
        if (!intake_fill(c) && !intake_can_fill(c)) {
            watch(c, true);
            if (c->closed)
                return;
        }
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        c->broken = true;
    }
    run(c, events & EPOLLOUT);
}
