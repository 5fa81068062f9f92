/* upstream.c - see upstream.h. All are kept for the same time, so the list by age is in the order in which they expire, and one
 * timer does. An origin is there while it has kept connections, so there are never more than those. */
#include "net/upstream.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct upstream_origin {
    struct list node; /* in its bucket */
    struct list kept; /* struct upstream, the last one first */
    unsigned n;
    uint16_t port;
    size_t host_len;
    char host[];
};

static void on_timer(struct timer *t);

struct upstreams *upstreams_new(struct loop *loop, struct names *names)
{
    struct upstreams *u = mem_alloc(sizeof *u);
    u->loop = loop;
    u->names = names;
    list_init(&u->kept);
    for (size_t i = 0; i < UPSTREAM_BUCKETS; i++)
        list_init(&u->origins[i]);
    timer_init(&u->timer, on_timer);
    return u;
}

void upstreams_count(struct upstreams *u, enum upstream_count which, int by)
{
    u->counts[which] += by;
    if (u->on_count)
        u->on_count(u, which, by);
}

/* ---- Origins ---- */

static struct list *bucket(struct upstreams *u, cs_str host, uint16_t port)
{
    uint32_t hash = 2166136261u ^ port; /* FNV-1a */
    for (size_t i = 0; i < host.n; i++)
        hash = (hash ^ (unsigned char)str_lower_char(host.p[i])) * 16777619u;
    return &u->origins[(hash ^ hash >> 16) % UPSTREAM_BUCKETS];
}

static struct upstream_origin *find(struct list *in, cs_str host, uint16_t port)
{
    LIST_EACH(node, in)
    {
        struct upstream_origin *o = CONTAINER_OF(node, struct upstream_origin, node);
        if (o->port == port && str_eq_nocase((cs_str){o->host, o->host_len}, host))
            return o;
    }
    return NULL;
}

static struct upstream_origin *find_or_make(struct upstreams *u, cs_str host, uint16_t port)
{
    struct list *in = bucket(u, host, port);
    struct upstream_origin *o = find(in, host, port);
    if (o)
        return o;
    o = mem_alloc(sizeof *o + host.n);
    o->port = port;
    o->host_len = host.n;
    if (host.n)
        memcpy(o->host, host.p, host.n);
    list_init(&o->kept);
    list_add_head(in, &o->node);
    return o;
}

/* ---- Connections ---- */

struct upstream *upstream_new(struct upstreams *u, int fd)
{
    struct upstream *c = mem_alloc(sizeof *c);
    c->io.fd = c->stream.fd = fd;
    c->of = u;
    list_init(&c->by_age);
    list_init(&c->by_origin);
    upstreams_count(u, UPSTREAM_OPEN, 1);
    return c;
}

/* It is kept no more. */
static void leave(struct upstream *c)
{
    struct upstream_origin *o = c->origin;
    if (!o)
        return;
    c->origin = NULL;
    list_remove(&c->by_age);
    list_remove(&c->by_origin);
    if (--o->n == 0) {
        list_remove(&o->node);
        free(o);
    }
    upstreams_count(c->of, UPSTREAM_IDLE, -1);
}

void upstream_close(struct upstream *c)
{
    struct upstreams *u = c->of;
    leave(c);
    loop_forget(u->loop, &c->io);
    stream_close(&c->stream);
    free(c);
    upstreams_count(u, UPSTREAM_OPEN, -1);
}

static struct upstream *oldest_of(struct list *by_age)
{
    return CONTAINER_OF(list_first(by_age), struct upstream, by_age);
}

void upstreams_free(struct upstreams *u)
{
    if (!u)
        return;
    while (!list_empty(&u->kept))
        upstream_close(oldest_of(&u->kept));
    timer_clear(&u->loop->timers, &u->timer);
    rooms_drain(&u->rooms);
    free(u);
}

static void on_idle_ready(struct loop_io *io, uint32_t events)
{
    (void)events;
    upstream_close(CONTAINER_OF(io, struct upstream, io));
}

/* The turn of the loop may have begun before the server closed it, or said something. */
static bool is_silent(const struct upstream *c)
{
    char byte;
    ssize_t n = recv(c->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

struct upstream *upstream_take(struct upstreams *u, cs_str host, uint16_t port)
{
    struct list *in = bucket(u, host, port);
    struct upstream_origin *o;
    while ((o = find(in, host, port))) {
        struct upstream *c = CONTAINER_OF(list_first(&o->kept), struct upstream, by_origin);
        if (is_silent(c)) {
            leave(c);
            upstreams_count(u, UPSTREAM_REUSED, 1);
            return c;
        }
        upstream_close(c);
    }
    return NULL;
}

/* One has come, and may be one too many. */
static void thin_out(struct upstreams *u, struct upstream_origin *o)
{
    if (o->n > UPSTREAM_ORIGIN_IDLE)
        upstream_close(CONTAINER_OF(o->kept.prev, struct upstream, by_origin));
    else if (u->counts[UPSTREAM_IDLE] > UPSTREAM_IDLE_MAX)
        upstream_close(oldest_of(&u->kept));
}

void upstream_keep(struct upstream *c, cs_str host, uint16_t port)
{
    struct upstreams *u = c->of;
    c->user = NULL;
    c->io.on_ready = on_idle_ready;
    if (loop_set(u->loop, &c->io, UPSTREAM_INTEREST)) {
        upstream_close(c);
        return;
    }
    struct upstream_origin *o = c->origin = find_or_make(u, host, port);
    list_add_head(&o->kept, &c->by_origin);
    list_add_tail(&u->kept, &c->by_age);
    o->n++;
    c->until = clock_ms() + UPSTREAM_IDLE_MS;
    upstreams_count(u, UPSTREAM_IDLE, 1);
    thin_out(u, o);
    if (!timer_is_set(&u->timer))
        timer_set_at(&u->loop->timers, &u->timer, c->until);
}

/* It was set for one that may have been used since. */
static void on_timer(struct timer *t)
{
    struct upstreams *u = CONTAINER_OF(t, struct upstreams, timer);
    while (!list_empty(&u->kept) && oldest_of(&u->kept)->until <= clock_ms())
        upstream_close(oldest_of(&u->kept));
    if (!list_empty(&u->kept))
        timer_set_at(&u->loop->timers, &u->timer, oldest_of(&u->kept)->until);
}
