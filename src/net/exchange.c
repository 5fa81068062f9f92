/* exchange.c - from the name to the end, and the time limits. All that is asked for from outside is done by one task, so a
 * callback never comes inside a call. */
#include "net/exchange.h"

#include "base/clock.h"
#include "base/note.h"
#include "net/exchange_parts.h"
#include "os/fd.h"

#include <errno.h>
#include <stdlib.h>

#define EXCHANGE_MAGIC 0x45584348u
#define HOST_SHOWN     80 /* bytes of the host in `why` */

enum phase {
    NOTHING, /* never started, or over */
    BEGIN,
    NAME,
    CONNECT,
    TALK
};

enum limit {
    NONE,
    FOR_NAME,
    FOR_HEAD,
    FOR_MOVE
};

static void on_task(struct loop_task *t);
static void on_timer(struct timer *t);
static void on_name(struct names_wait *w, const struct names_found *f);

static bool is_given(const struct exchange *x)
{
    return x->opts.fd >= 0;
}

/* ---- The end ---- */

/* Everything but head_memory goes. */
static void release(struct exchange *x)
{
    struct upstreams *u = x->opts.upstreams;
    if (x->phase == NAME)
        names_drop(&x->name);
    dial_drop(x->dial);
    x->dial = NULL;
    if (x->conn) {
        if (is_given(x)) /* others may have it, too */
            loop_del(u->loop, &x->conn->io);
        upstream_close(x->conn);
    } else if (x->phase == BEGIN && is_given(x)) {
        fd_close(&x->opts.fd);
    }
    x->conn = NULL;
    timer_clear(&u->loop->timers, &x->timer);
    list_remove(&x->task.node);
    room_give(&u->rooms, x->room);
    x->room = NULL;
    buf_free(&x->queue);
    x->phase = NOTHING;
}

/* Whoever it is told may free x or start it again; the head is valid until then. */
static void tell_over(struct exchange *x, enum exchange_result result)
{
    void *memory = x->head_memory;
    int count = UPSTREAM_NO_NAME + ((int)result - EXCHANGE_NO_NAME);
    x->head_memory = NULL;
    if (result != EXCHANGE_OK)
        upstreams_count(x->opts.upstreams, (enum upstream_count)count, 1);
    release(x);
    x->on_over(x, result);
    free(memory);
}

void exchange_end(struct exchange *x, enum exchange_result result, const char *what)
{
    struct note why = note_on(x->why, sizeof x->why);
    cs_str host = x->opts.host;
    if (!is_given(x)) {
        bool is_v6 = host.n && memchr(host.p, ':', host.n);
        host.n = host.n < HOST_SHOWN ? host.n : HOST_SHOWN;
        note_add(&why, is_v6 ? "[" : "");
        note_add_str(&why, host);
        note_add(&why, is_v6 ? "]:" : ":");
        note_add_number(&why, x->opts.port);
        note_add(&why, ": ");
    }
    note_add(&why, what);
    tell_over(x, result);
}

void exchange_whole(struct exchange *x, bool keep)
{
    if (keep && exchange_out_is_done(x) && !is_given(x)) {
        upstream_keep(x->conn, x->opts.host, x->opts.port);
        x->conn = NULL;
    }
    tell_over(x, EXCHANGE_OK);
}

void exchange_drop(struct exchange *x)
{
    if (!x->phase)
        return;
    MAGIC_CHECK(x, EXCHANGE_MAGIC);
    if (x->gone)
        *x->gone = true;
    x->gone = NULL;
    release(x);
    free(x->head_memory);
    x->head_memory = NULL;
}

void *exchange_take_head(struct exchange *x)
{
    void *memory = x->head_memory;
    x->head_memory = NULL;
    return memory;
}

/* ---- What it waits for ---- */

static enum limit limit_now(const struct exchange *x)
{
    bool sends = exchange_out_waiting(x) > 0;
    if (sends)
        return FOR_MOVE;
    if (x->paused || (!x->last && !x->send_error))
        return NONE;
    return x->in_body ? FOR_MOVE : FOR_HEAD;
}

static int64_t limit_ms(const struct exchange *x, enum limit limit)
{
    switch (limit) {
    case FOR_NAME:
        return x->opts.connect_ms;
    case FOR_HEAD:
        return x->opts.head_ms;
    case FOR_MOVE:
        return x->opts.idle_ms;
    default:
        return 0;
    }
}

static void set_limit(struct exchange *x, enum limit limit)
{
    struct timer_wheel *timers = &x->opts.upstreams->loop->timers;
    int64_t ms = limit_ms(x, limit);
    if ((int)limit == x->limit && !(limit == FOR_MOVE && x->moved))
        return;
    x->limit = (int)limit;
    x->moved = false;
    if (ms > 0)
        timer_set(timers, &x->timer, (uint64_t)ms);
    else
        timer_clear(timers, &x->timer);
}

static void on_timer(struct timer *t)
{
    struct exchange *x = CONTAINER_OF(t, struct exchange, timer);
    char what[80];
    struct note n = note_on(what, sizeof what);
    MAGIC_CHECK(x, EXCHANGE_MAGIC);
    switch ((enum limit)x->limit) {
    case FOR_NAME:
        note_add(&n, "its address was not found within ");
        break;
    case FOR_HEAD:
        note_add(&n, "no answer within ");
        break;
    default:
        note_add(&n, "nothing moved for ");
        break;
    }
    note_add_number(&n, (uint64_t)limit_ms(x, (enum limit)x->limit));
    note_add(&n, " ms");
    exchange_end(x, EXCHANGE_TIMEOUT, what);
}

/* Interest and time limit, as things are now. What is not to be read stays registered until it fires, since mostly it is
 * wanted again before; `fired` says so. Nothing at all is registered then: an end would be reported again and again. */
static void await(struct exchange *x, bool fired)
{
    uint32_t events = UPSTREAM_INTEREST;
    if (x->paused)
        events = fired ? 0 : x->conn->io.events & UPSTREAM_INTEREST;
    if (exchange_out_waiting(x))
        events |= EPOLLOUT;
    int rc = loop_set(x->opts.upstreams->loop, &x->conn->io, events);
    if (rc)
        exchange_end(x, EXCHANGE_BROKEN, strerror(-rc));
    else
        set_limit(x, limit_now(x));
}

/* ---- Over a connection ---- */

static void on_ready(struct loop_io *io, uint32_t events)
{
    struct exchange *x = CONTAINER_OF(io, struct upstream, io)->user;
    bool readable = events & ~(uint32_t)EPOLLOUT;
    MAGIC_CHECK(x, EXCHANGE_MAGIC);
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP) && !exchange_out_flush(x))
        return;
    if (readable && !x->paused && !exchange_in_read(x))
        return;
    await(x, readable);
}

/* What was asked for from outside. A connection that takes no more tells by reading why. */
static void go_on(struct exchange *x)
{
    bool resume = x->resume;
    x->resume = false;
    if (!exchange_out_flush(x))
        return;
    if (resume && x->paused && !exchange_in_resume(x))
        return;
    if (x->send_error && !x->paused && !exchange_in_read(x))
        return;
    await(x, false);
}

static void talk(struct exchange *x, struct upstream *conn, bool reused)
{
    x->phase = TALK;
    x->conn = conn;
    x->reused = reused;
    x->limit = NONE;
    conn->user = x;
    conn->io.on_ready = on_ready;
    go_on(x);
}

static void on_dialled(void *whose, const struct dial_end *end)
{
    struct exchange *x = whose;
    MAGIC_CHECK(x, EXCHANGE_MAGIC);
    x->dial = NULL;
    if (end->fd >= 0) {
        upstreams_count(x->opts.upstreams, UPSTREAM_CONNECTED, 1);
        talk(x, upstream_new(x->opts.upstreams, end->fd), false);
        return;
    }
    struct note why = note_on(x->why, sizeof x->why);
    note_add(&why, end->why);
    tell_over(x, end->late ? EXCHANGE_TIMEOUT : EXCHANGE_NO_CONNECT);
}

static void on_found(struct exchange *x, const struct names_found *f)
{
    x->phase = CONNECT;
    set_limit(x, NONE); /* the dial looks after the rest of it */
    if (f->error || f->n == 0)
        exchange_end(x, EXCHANGE_NO_NAME, f->text ? f->text : "there is no address");
    else
        x->dial = dial_new(x->opts.upstreams->loop, f->v, f->n, x->connect_due, on_dialled, x);
}

static void on_name(struct names_wait *w, const struct names_found *f)
{
    struct exchange *x = CONTAINER_OF(w, struct exchange, name);
    MAGIC_CHECK(x, EXCHANGE_MAGIC);
    on_found(x, f);
}

static void connect_anew(struct exchange *x)
{
    struct names_found found;
    int64_t ms = x->opts.connect_ms;
    x->connect_due = ms > 0 ? clock_ms() + (uint64_t)ms : 0;
    x->phase = NAME;
    x->limit = NONE;
    set_limit(x, FOR_NAME);
    x->name.done = on_name;
    if (names_find(x->opts.upstreams->names, x->opts.host, x->opts.port, &found, &x->name))
        on_found(x, &found);
}

/* May the request go over another connection? That one is new, so it is once at most. */
static bool can_repeat(const struct exchange *x)
{
    if (!x->reused || x->answered)
        return false;
    return x->sent == 0 || (x->opts.repeatable && !x->opts.body_follows);
}

void exchange_lost(struct exchange *x, int error)
{
    if (can_repeat(x)) {
        upstreams_count(x->opts.upstreams, UPSTREAM_REPEATED, 1);
        upstream_close(x->conn);
        x->conn = NULL;
        exchange_out_again(x);
        connect_anew(x);
        return;
    }
    if (!error)
        error = x->send_error;
    const char *what = x->answered ? "the connection ended before the answer was whole"
                                   : "the connection ended without an answer";
    exchange_end(x, EXCHANGE_BROKEN, error ? strerror(error) : what);
}

/* ---- From outside ---- */

static void begin(struct exchange *x)
{
    struct upstreams *u = x->opts.upstreams;
    if (is_given(x)) {
        fd_set_nonblock(x->opts.fd, true);
        talk(x, upstream_new(u, x->opts.fd), false);
        return;
    }
    struct upstream *kept = upstream_take(u, x->opts.host, x->opts.port);
    if (kept)
        talk(x, kept, true);
    else
        connect_anew(x);
}

static void on_task(struct loop_task *t)
{
    struct exchange *x = CONTAINER_OF(t, struct exchange, task);
    MAGIC_CHECK(x, EXCHANGE_MAGIC);
    if (x->phase == BEGIN)
        begin(x);
    else if (x->phase == TALK)
        go_on(x);
}

void exchange_start(struct exchange *x, const struct exchange_opts *opts)
{
    check(!x->phase && x->on_head && x->on_data && x->on_over);
    *x = (struct exchange){.on_head = x->on_head,
                           .on_data = x->on_data,
                           .on_drain = x->on_drain,
                           .on_over = x->on_over,
                           .magic = EXCHANGE_MAGIC,
                           .phase = BEGIN,
                           .opts = *opts,
                           .last = !opts->body_follows,
                           .task.run = on_task};
    check(opts->fd < 0 || opts->host.n == 0);
    check(!opts->body_follows || (x->on_drain && opts->body.n == 0));
    list_init(&x->task.node);
    timer_init(&x->timer, on_timer);
    upstreams_count(opts->upstreams, UPSTREAM_STARTED, 1);
    loop_later(opts->upstreams->loop, &x->task);
}

void exchange_resume(struct exchange *x)
{
    if (!x->phase)
        return;
    x->resume = true;
    loop_later(x->opts.upstreams->loop, &x->task);
}
