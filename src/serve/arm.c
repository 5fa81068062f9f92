#include "serve/arm.h"

#include "base/log.h"
#include "base/mem.h"
#include "os/fd.h"

#include <stdlib.h>

#define MIN_SHARE 8 /* so many accepts before a worker compares itself with the others */

/* A listener whose turn it is not stays registered with an interest that never comes true: arming is
 * then one call, and it looks at the queue at once. It must be none that the kernel names when data arrives (EPOLLPRI
 * is): each sleeper would be woken, find nothing, and sleep on without a return of epoll_wait. */
#define DISARMED EPOLLRDHUP

/* Can only be set by a fresh registration, which goes to the tail of the kernel's queue. */
#define SHARED (EPOLLIN | EPOLLEXCLUSIVE)

/* accept.c takes these events out of the batch before it is dispatched. */
static void on_listener(struct loop_io *io, uint32_t events)
{
    (void)io;
    (void)events;
}

bool arm_is_point(const struct loop_io *io)
{
    return io->on_ready == on_listener;
}

static void add_point(struct serve *s, unsigned listener, unsigned socket)
{
    const struct serve_listener *l = &s->plan->listeners[listener];
    s->points[s->npoints++] =
        (struct accept_point){.io = {.on_ready = on_listener, .fd = l->fds[socket]},
                              .listener = l,
                              .index = listener,
                              .socket = socket};
}

static void find_listening(struct serve *s)
{
    for (size_t i = 0; i < s->npoints; i++)
        if (!s->points[i].listens)
            s->points[i].listens = fd_listens(s->points[i].io.fd);
}

static void make_points(struct serve *s)
{
    const struct serve_plan *plan = s->plan;
    size_t n = 0;
    for (size_t i = 0; i < plan->nlisteners; i++)
        n += plan->listeners[i].nfds;
    s->points = mem_alloc((n + 1) * sizeof *s->points);
    for (size_t i = 0; i < plan->nlisteners; i++)
        for (size_t k = 0; k < plan->listeners[i].nfds; k++)
            add_point(s, (unsigned)i, (unsigned)k);
}

static bool has_policy(const struct serve_plan *plan, enum conf_policy policy)
{
    for (size_t i = 0; i < plan->nlisteners; i++)
        if (plan->listeners[i].policy == policy)
            return true;
    return false;
}

bool arm_is_shared(const struct serve *s, const struct accept_point *p)
{
    return p->listener->policy == CONF_POLICY_EXCLUSIVE ||
           (p->listener->policy == CONF_POLICY_TURN && s->turn.shared);
}

static bool is_owner(const struct serve *s, const struct accept_point *p)
{
    const struct ipc_slot *first = region_slot(s->region, IPC_SLOT_WORKERS);
    return atomic_load(&first[p->socket].socket_owner) == s->slot_index;
}

/* The events that a point is to be registered for; 0 = none. A socket that is only bound would report an end that
 * never ends. */
static uint32_t interest(const struct serve *s, const struct accept_point *p,
                         const struct accept_arming *a)
{
    if (!p->listens || !a->open)
        return 0;
    if (arm_is_shared(s, p))
        return a->may ? SHARED : 0;
    if (p->listener->policy == CONF_POLICY_REUSEPORT)
        return is_owner(s, p) ? EPOLLIN : 0;
    return a->turn ? EPOLLIN : DISARMED;
}

static void arm_point(struct serve *s, struct accept_point *p, uint32_t events)
{
    struct loop_io *io = &p->io;
    bool afresh = s->look_again && events == SHARED;
    int rc = 0;
    if ((events != io->events && (events | io->events) & EPOLLEXCLUSIVE) || afresh)
        rc = loop_set(s->loop, io, 0);
    if (!rc)
        rc = loop_set(s->loop, io, events);
    if (rc)
        log_error("listener %s cannot be watched: %s", p->listener->text, strerror(-rc));
}

/* More sockets may listen now, or belong to us. */
static void see_epoch(struct serve *s)
{
    uint32_t epoch = atomic_load(&s->region->turn->epoch);
    if (epoch == s->epoch)
        return;
    s->epoch = epoch;
    s->look_again = true;
    find_listening(s);
}

void arm_update(struct serve *s)
{
    if (s->draining)
        return;
    see_epoch(s);
    struct accept_arming now = {.turn = s->turn.have,
                                .shared = s->turn.shared,
                                .may = turn_may(&s->turn),
                                .open = serve_fitness(s) != IPC_UNFIT};
    const struct accept_arming *old = &s->armed;
    if (!s->look_again && now.turn == old->turn && now.shared == old->shared &&
        now.may == old->may && now.open == old->open)
        return;
    for (size_t i = 0; i < s->npoints; i++)
        arm_point(s, &s->points[i], interest(s, &s->points[i], &now));
    s->armed = now;
    s->look_again = false;
}

static bool shares(const struct serve *s)
{
    return s->shares || s->turn.shared;
}

/* Workers that accept from the same sockets, and all that they have accepted. */
static unsigned survey(const struct serve *s, uint64_t *accepts)
{
    unsigned n = 0, used = atomic_load(&s->region->turn->used);
    *accepts = 0;
    for (unsigned i = IPC_SLOT_WORKERS; i < used; i++) {
        const struct ipc_slot *slot = &s->region->slots[i];
        *accepts += atomic_load_explicit(&slot->counters[IPC_ACCEPTS], memory_order_relaxed);
        n += atomic_load_explicit(&slot->fit, memory_order_relaxed) == IPC_FIT;
    }
    return n;
}

/* The kernel wakes whoever stands first in its queue, again and again: who has had clearly more than a fair share
 * goes to the tail. */
static void see_share(struct serve *s)
{
    uint64_t all,
        mine = atomic_load_explicit(&s->slot->counters[IPC_ACCEPTS], memory_order_relaxed);
    if (mine == s->share.mine || !shares(s))
        return;
    unsigned n = survey(s, &all);
    bool greedy = mine - s->share.mine >= MIN_SHARE &&
                  4 * n * (mine - s->share.mine) > 5 * (all - s->share.all);
    /* Who has had little in a long time would be owed thousands. */
    if (greedy || all - s->share.all > (uint64_t)n * 2 * MIN_SHARE)
        s->share = (struct accept_share){mine, all};
    s->look_again = s->look_again || greedy;
}

void arm_init(struct serve *s)
{
    uint64_t mine = atomic_load(&s->slot->counters[IPC_ACCEPTS]);
    make_points(s);
    find_listening(s);
    s->epoch = atomic_load(&s->region->turn->epoch);
    s->shares = has_policy(s->plan, CONF_POLICY_EXCLUSIVE);
    s->look_again = true;
    survey(s, &s->share.all);
    s->share.mine = mine; /* of predecessors in the slot */
    if (!has_policy(s->plan, CONF_POLICY_TURN))
        turn_abstain(&s->turn);
}

void arm_look(struct serve *s)
{
    if (s->draining)
        return;
    see_share(s);
}

void arm_afresh(struct serve *s)
{
    if (shares(s))
        s->look_again = true;
}

void arm_stop(struct serve *s)
{
    for (size_t i = 0; i < s->npoints; i++)
        loop_del(s->loop, &s->points[i].io);
}

void arm_free(struct serve *s)
{
    free(s->points);
    s->points = NULL;
    s->npoints = 0;
}
