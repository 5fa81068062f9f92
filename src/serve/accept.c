#include "serve/accept.h"

#include "base/clock.h"
#include "base/log.h"
#include "os/fd.h"
#include "os/sock.h"
#include "serve/arm.h"
#include "serve/conn.h"
#include "serve/shed.h"

#include <errno.h>

#define PAUSE_MS 100
#define TELL_MS  10000
static void on_bell(struct loop_io *io, uint32_t events);
static void on_pause_over(struct timer *t);

/* ---- Beginning ---- */

/* Workers that began together do not all want a successor at the same time. */
static uint64_t recycle_at(struct serve *s)
{
    uint64_t wish = (uint64_t)s->plan->conf->server.recycle_after;
    s->recycle_after = wish;
    uint64_t position = atomic_load(&s->slot->position);
    if (!wish)
        return 0;
    uint64_t lot = wish - wish / 10 + wish / 5 * (position * 618 % 1000) / 1000;
    return atomic_load(&s->slot->counters[IPC_REQUESTS]) + (lot ? lot : 1);
}

int accept_init(struct serve *s)
{
    turn_init(&s->turn, s->region, s->slot_index);
    s->turn.least = s->plan->conf->accept.pick == CONF_PICK_LEAST;
    arm_init(s);
    list_init(&s->fresh);
    timer_init(&s->pause, on_pause_over);
    s->recycle_at = recycle_at(s);
    s->spare_fd = fd_event_new();
    s->bell = (struct loop_io){.on_ready = on_bell, .fd = s->region->bells[s->slot_index]};
    return loop_set(s->loop, &s->bell, EPOLLIN);
}

void accept_open(struct serve *s)
{
    s->open = true;
    atomic_store(&s->slot->max, (int32_t)s->max_conns);
    accept_refit(s);
}

/* A new number of requests counts from now on. */
void accept_tune(struct serve *s)
{
    s->turn.least = s->plan->conf->accept.pick == CONF_PICK_LEAST;
    if (s->recycle_after != (uint64_t)s->plan->conf->server.recycle_after) {
        s->recycle_at = recycle_at(s);
        atomic_store(&s->slot->recycle, 0);
    }
    if (s->open)
        accept_open(s);
}

void accept_refit(struct serve *s)
{
    bool rests = !s->open || s->draining || timer_is_set(&s->pause) || !serve_is_live(s);
    turn_fit(&s->turn, rests ? IPC_UNFIT : s->nconns < s->max_conns ? IPC_FIT : IPC_FULL);
}

static void see_recycling(struct serve *s)
{
    uint64_t requests =
        atomic_load_explicit(&s->slot->counters[IPC_REQUESTS], memory_order_relaxed);
    if (!s->recycle_at || requests < s->recycle_at)
        return;
    s->recycle_at = 0;
    atomic_store(&s->slot->recycle, 1);
    fd_event_ring(s->region->master_bell);
}

/* The order of these steps is the protocol: see ipc/turn.h. */
void accept_before_wait(struct serve *s)
{
    struct turn *t = &s->turn;
    see_recycling(s);
    accept_refit(s);
    arm_look(s);
    if (!turn_overloaded(t))
        turn_take(t);
    turn_park(t);
    turn_take(t);
    arm_update(s);
}

/* ---- Accepting ---- */

static void start_pause(struct serve *s, const char *why)
{
    uint64_t now = clock_ms();
    serve_count_one(s, IPC_ACCEPT_FULL);
    if (!s->pause_told || now - s->pause_told >= TELL_MS) {
        log_warn("not accepting for %d ms at a time, until this is over: %s", PAUSE_MS, why);
        s->pause_told = now;
    }
    timer_set(&s->loop->timers, &s->pause, PAUSE_MS);
    accept_refit(s);
    s->refused = true; /* the kernel may have woken us alone */
}

static void on_pause_over(struct timer *t)
{
    struct serve *s = CONTAINER_OF(t, struct serve, pause);
    if (s->spare_fd < 0)
        s->spare_fd = fd_event_new();
    accept_refit(s);
}

/* May we accept from it now? A full worker is the last resort; the sockets of reuseport have nobody else. */
static bool may_accept(const struct serve *s, const struct accept_point *p)
{
    if (p->listener->policy == CONF_POLICY_REUSEPORT)
        return serve_fitness(s) != IPC_UNFIT;
    return (s->turn.have || arm_is_shared(s, p)) && turn_may(&s->turn);
}

static bool no_descriptors(int error)
{
    return error == -EMFILE || error == -ENFILE;
}

static int take_one(struct accept_point *p, struct sockaddr_storage *peer, socklen_t *peer_len)
{
    *peer_len = sizeof *peer;
    return sock_accept(p->io.fd, peer, peer_len);
}

/* There are no descriptors left. The connection that idles longest gives us its own; where none idles the spare one
 * serves to turn the newcomer away, unless another worker has room for it. */
static int take_with_less(struct serve *s, struct accept_point *p, int error,
                          struct sockaddr_storage *peer, socklen_t *peer_len)
{
    if (shed_idle(s)) {
        int fd = take_one(p, peer, peer_len);
        if (!no_descriptors(fd))
            return fd;
        error = fd;
    }
    start_pause(s, strerror(-error));
    if (s->spare_fd < 0 || (p->listener->policy != CONF_POLICY_REUSEPORT && !turn_last(&s->turn)))
        return error;
    fd_close(&s->spare_fd);
    int fd = take_one(p, peer, peer_len);
    if (fd >= 0) {
        serve_count_one(s, IPC_ACCEPTS);
        shed_newcomer(s, fd);
    }
    s->spare_fd = fd_event_new();
    return error;
}

/* Accepts one connection; it is looked at when the turn has been passed on. False: no more. */
static bool accept_one(struct serve *s, struct accept_point *p)
{
    struct sockaddr_storage peer;
    socklen_t peer_len;
    int fd = take_one(p, &peer, &peer_len);
    if (no_descriptors(fd))
        fd = take_with_less(s, p, fd, &peer, &peer_len);
    if (fd == -ENOMEM || fd == -ENOBUFS)
        start_pause(s, strerror(-fd));
    if (fd == -EAGAIN)
        serve_count_one(s, IPC_ACCEPT_EMPTY);
    if (fd < 0)
        return false;
    serve_count_one(s, IPC_ACCEPTS);
    if (s->nconns >= s->max_conns && !shed_idle(s)) {
        shed_newcomer(s, fd);
        return true;
    }
    struct conn *c = conn_new(s, fd, p->index, peer_len ? (struct sockaddr *)&peer : NULL);
    list_add_tail(&s->fresh, &c->idle_node);
    return true;
}

/* How many to take at once. An accept that finds nothing is dear, so the queue is asked first where
 * that can be done. */
static int batch_of(const struct serve *s, const struct accept_point *p)
{
    int64_t most = s->plan->conf->accept.batch;
    int64_t room = s->nconns < s->max_conns ? s->max_conns - s->nconns : 1;
    bool others = p->listener->policy != CONF_POLICY_REUSEPORT;
    if (most > room)
        most = room;
    if (most == 1 || p->listener->addr.u.sa.sa_family == AF_UNIX ||
        (s->plan->conf->accept.spread && others && turn_others_parked(&s->turn)))
        return 1;
    int queued = sock_queued(p->io.fd);
    return queued < 1 ? 1 : queued < most ? queued : (int)most;
}

static void serve_point(struct serve *s, struct accept_point *p)
{
    p->ready = false;
    turn_event(&s->turn);
    if (!may_accept(s, p)) {
        s->refused = true;
        return;
    }
    int n = batch_of(s, p);
    while (n-- > 0 && may_accept(s, p) && accept_one(s, p))
        ;
}

static void serve_points(struct serve *s)
{
    size_t first = s->first_point++ % s->npoints;
    for (size_t i = 0; i < s->npoints; i++) {
        struct accept_point *p = &s->points[(first + i) % s->npoints];
        if (p->ready)
            serve_point(s, p);
    }
}

/* ---- What has woken us ---- */

struct cause {
    bool bell, listener, connection, other;
};

static struct cause look_at_batch(struct serve *s)
{
    struct cause c = {0};
    for (int i = 0; i < s->loop->nready; i++) {
        uint32_t events;
        struct loop_io *io = loop_ready(s->loop, i, &events);
        if (!io)
            continue;
        if (io == &s->bell) {
            c.bell = true;
            loop_take(s->loop, i);
        } else if (arm_is_point(io)) {
            c.listener = CONTAINER_OF(io, struct accept_point, io)->ready = true;
            loop_take(s->loop, i);
        } else if (conn_is_io(io)) {
            c.connection = true;
        } else {
            c.other = true;
        }
    }
    return c;
}

static bool timer_due(const struct serve *s)
{
    return timer_next(&s->loop->timers, clock_ms()) == 0;
}

/* Tasks that wait for this turn of the loop are business of connections. */
static enum ipc_counter name_of(const struct serve *s, const struct cause *c, bool kicked)
{
    if (kicked)
        return IPC_WAKEUPS_KICK;
    if (c->listener)
        return IPC_WAKEUPS_LISTENER;
    if (c->connection || !list_empty(&s->loop->tasks))
        return IPC_WAKEUPS_CONNECTION;
    if (c->bell || c->other)
        return IPC_WAKEUPS_BELL;
    return timer_due(s) ? IPC_WAKEUPS_TIMER : IPC_WAKEUPS_NOTHING;
}

/* Will this turn of the loop run anything of ours or of a module? */
static bool handlers_follow(const struct serve *s, const struct cause *c)
{
    return c->listener || c->connection || c->other || !list_empty(&s->loop->tasks) || timer_due(s);
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

static void hear_bell(struct serve *s)
{
    fd_event_drain(s->bell.fd);
    turn_answer(&s->turn);
    arm_afresh(s);
}

/* No handler may run while this process holds the turn. The bell alone is no reason to pass on what it has just
 * brought. */
static void pass_on(struct serve *s, const struct cause *c)
{
    struct turn *t = &s->turn;
    if (t->have && (!turn_may(t) || handlers_follow(s, c) || host_has_mail(s->host)))
        turn_give(t);
    else if (s->refused)
        turn_forward(t);
    s->refused = false;
}

void accept_after_wait(struct serve *s)
{
    struct turn *t = &s->turn;
    turn_wake(t);
    bool kicked = turn_kicked(t);
    struct cause c = look_at_batch(s);
    serve_count_one(s, name_of(s, &c, kicked));
    if (c.bell || kicked)
        hear_bell(s);
    if (c.listener)
        serve_points(s);
    pass_on(s, &c);
    begin_fresh(s);
}

static void on_bell(struct loop_io *io, uint32_t events)
{
    (void)io;
    (void)events;
}

/* ---- The end ---- */

/* Who kicked us before we became unfit relies on us. */
void accept_stop(struct serve *s)
{
    s->draining = true;
    timer_clear(&s->loop->timers, &s->pause);
    accept_refit(s);
    turn_give(&s->turn);
    if (turn_kicked(&s->turn))
        hear_bell(s);
    arm_stop(s);
}

void accept_free(struct serve *s)
{
    loop_del(s->loop, &s->bell);
    fd_close(&s->spare_fd);
    arm_free(s);
}
