#include "serve/accept.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/sock.h"
#include "serve/conn.h"

#include <errno.h>
#include <stdlib.h>

#define PAUSE_MS 100
#define TELL_MS  10000

/* A listener that is not armed stays registered with an interest that never comes true: arming is
 * then one call, and it looks at the queue at once. */
#define DISARMED EPOLLPRI

static void on_listener(struct loop_io *io, uint32_t events);
static void on_bell(struct loop_io *io, uint32_t events);
static void on_pause_over(struct timer *t);

int accept_init(struct serve *s)
{
    struct serve_plan *plan = s->plan;
    turn_init(&s->turn, s->region, s->slot_index);
    list_init(&s->fresh);
    timer_init(&s->pause, on_pause_over);
    s->bell = (struct loop_io){.on_ready = on_bell, .fd = s->region->bells[s->slot_index]};
    int rc = loop_set(s->loop, &s->bell, EPOLLIN);
    s->points = mem_alloc((plan->nlisteners + 1) * sizeof *s->points);
    for (size_t i = 0; i < plan->nlisteners && !rc; i++) {
        struct accept_point *p = &s->points[i];
        p->listener = &plan->listeners[i];
        p->index = (unsigned)i;
        p->io = (struct loop_io){.on_ready = on_listener, .fd = p->listener->fds[0]};
        rc = loop_set(s->loop, &p->io, DISARMED);
    }
    return rc;
}

static void set_fit(struct serve *s)
{
    bool fit = s->open && !s->draining && !timer_is_set(&s->pause);
    atomic_store(&s->slot->fit, fit ? IPC_FIT : IPC_UNFIT);
}

static bool is_fit(const struct serve *s)
{
    return atomic_load_explicit(&s->slot->fit, memory_order_relaxed) != 0;
}

void accept_open(struct serve *s)
{
    s->open = true;
    atomic_store(&s->slot->max, (int32_t)s->max_conns);
    set_fit(s);
}

static void arm(struct serve *s, bool on)
{
    uint32_t events = on ? EPOLLIN : DISARMED;
    if (on && s->turn.shared)
        events |= EPOLLEXCLUSIVE;
    if (s->armed == on)
        return;
    s->armed = on;
    for (size_t i = 0; i < s->plan->nlisteners; i++) {
        struct loop_io *io = &s->points[i].io;
        /* EPOLLEXCLUSIVE can only be set by a fresh registration. */
        if (s->turn.shared)
            loop_set(s->loop, io, 0);
        int rc = loop_set(s->loop, io, events);
        if (rc)
            log_error("listener %s cannot be watched: %s", s->points[i].listener->text,
                      strerror(-rc));
    }
}

/* The order of these steps is the protocol: see ipc/turn.h. */
void accept_before_wait(struct serve *s)
{
    struct turn *t = &s->turn;
    bool fit = is_fit(s);
    if (fit && !t->shared && !turn_overloaded(t))
        turn_take(t);
    bool mine = t->have || (t->shared && fit);
    arm(s, mine);
    turn_park(t);
    if (!mine && fit && turn_take(t))
        arm(s, true);
}

/* Anybody else who could take the turn? A worker alone keeps it. */
static bool alone(const struct serve *s)
{
    const struct region *r = s->region;
    unsigned used = atomic_load_explicit(&r->turn->used, memory_order_relaxed);
    for (unsigned i = IPC_SLOT_WORKERS; i < used; i++)
        if ((int)i != s->slot_index && atomic_load_explicit(&r->slots[i].fit, memory_order_relaxed))
            return false;
    return true;
}

static void start_pause(struct serve *s, const char *why)
{
    uint64_t now = clock_ms();
    serve_count_one(s, IPC_ACCEPT_FULL);
    if (!s->pause_told || now - s->pause_told >= TELL_MS) {
        log_warn("not accepting for %d ms at a time, until this is over: %s", PAUSE_MS, why);
        s->pause_told = now;
    }
    timer_set(&s->loop->timers, &s->pause, PAUSE_MS);
    set_fit(s);
}

static void on_pause_over(struct timer *t)
{
    set_fit(CONTAINER_OF(t, struct serve, pause));
}

/* Full: the connection that has idled longest makes room; where none idles the newcomer gets a 503.
 */
static bool make_place(struct serve *s, int fd)
{
    static const char busy[] =
        "HTTP/1.1 503 Service Unavailable\r\nServer: cserver\r\nRetry-After: 1\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n";
    if (s->nconns < s->max_conns)
        return true;
    serve_count_one(s, IPC_LIMIT_CONNECTIONS);
    struct list *oldest = list_first(&s->idle);
    if (oldest) {
        conn_close(CONTAINER_OF(oldest, struct conn, idle_node));
        return true;
    }
    struct stream stream = {.fd = fd};
    char waste[4096];
    stream_recv(&stream, waste, sizeof waste); /* what is left unread would reset the answer */
    stream_send(&stream, &(struct iovec){(void *)(uintptr_t)busy, sizeof busy - 1}, 1);
    stream_shut(&stream);
    stream_close(&stream);
    return false;
}

/* Accepts one connection; it is looked at when the turn has been passed on. False: no more. */
static bool accept_one(struct serve *s, struct accept_point *p)
{
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof peer;
    int fd = sock_accept(p->io.fd, &peer, &peer_len);
    if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
        start_pause(s, strerror(-fd));
        return false;
    }
    if (fd == -EAGAIN)
        serve_count_one(s, IPC_ACCEPT_EMPTY);
    if (fd < 0)
        return false;
    serve_count_one(s, IPC_ACCEPTS);
    if (!make_place(s, fd))
        return true;
    struct conn *c = conn_new(s, fd, p->index, (const struct sockaddr *)&peer, peer_len);
    list_add_tail(&s->fresh, &c->idle_node);
    return true;
}

/* How many to take at once. An accept that finds nothing is dear, so the queue is asked first where
 * that can be done. */
static int batch_of(struct serve *s, struct accept_point *p)
{
    int64_t most = s->plan->conf->accept.batch;
    if (most == 1 || (s->plan->conf->accept.spread && turn_others_parked(&s->turn)))
        return 1;
    int queued = sock_queued(p->io.fd);
    return queued < 1 ? 1 : queued < most ? queued : (int)most;
}

static void hear_bell(struct serve *s)
{
    struct turn *t = &s->turn;
    fd_event_drain(s->bell.fd);
    turn_heard(t);
    if (is_fit(s))
        turn_take(t);
    else
        turn_forward(t);
}

/* Accepts from every ready listener. True when any was ready. */
static bool take_batch(struct serve *s)
{
    bool any = false;
    for (int i = 0; i < s->loop->nready; i++) {
        uint32_t events;
        struct loop_io *io = loop_ready(s->loop, i, &events);
        if (!io || io->on_ready != on_listener)
            continue;
        loop_take(s->loop, i);
        if (!s->turn.have && !s->turn.shared)
            continue;
        struct accept_point *p = CONTAINER_OF(io, struct accept_point, io);
        any = true;
        int n = batch_of(s, p);
        while (n-- > 0 && accept_one(s, p))
            ;
    }
    return any;
}

static bool take_bell(struct serve *s)
{
    for (int i = 0; i < s->loop->nready; i++) {
        uint32_t events;
        struct loop_io *io = loop_ready(s->loop, i, &events);
        if (io == &s->bell) {
            loop_take(s->loop, i);
            return true;
        }
    }
    return false;
}

static void begin_fresh(struct serve *s)
{
    struct list *node;
    while ((node = list_first(&s->fresh))) {
        struct conn *c = CONTAINER_OF(node, struct conn, idle_node);
        list_remove(node);
        conn_begin(c);
    }
}

/* Will this turn of the loop run anything of ours or of a module? */
static bool handlers_follow(const struct serve *s, bool rung)
{
    return s->loop->nready > (int)rung || !list_empty(&s->loop->tasks) ||
           timer_next(&s->loop->timers, clock_ms()) == 0;
}

void accept_after_wait(struct serve *s)
{
    struct turn *t = &s->turn;
    turn_wake(t);
    serve_count_one(s, IPC_WAKEUPS_CONNECTION);
    bool rung = take_bell(s);
    if (rung || turn_kicked(t))
        hear_bell(s);
    take_batch(s);
    /* No handler may run while this process holds the turn, unless nobody else could take it. The bell alone is no reason to pass
     * on what it has just brought. */
    if (t->have && (!is_fit(s) || (handlers_follow(s, rung) && !alone(s))))
        turn_give(t);
    begin_fresh(s);
}

static void on_listener(struct loop_io *io, uint32_t events)
{
    (void)io;
    (void)events;
}

static void on_bell(struct loop_io *io, uint32_t events)
{
    (void)io;
    (void)events;
}

void accept_stop(struct serve *s)
{
    s->draining = true;
    timer_clear(&s->loop->timers, &s->pause);
    set_fit(s);
    arm(s, false);
    if (s->turn.have)
        turn_give(&s->turn);
    for (size_t i = 0; i < s->plan->nlisteners; i++)
        loop_del(s->loop, &s->points[i].io);
}

void accept_free(struct serve *s)
{
    loop_del(s->loop, &s->bell);
    free(s->points);
    s->points = NULL;
}
