/* resolver.c - c-ares in the loop. A socket of c-ares is a struct sock from the moment c-ares tells of it until it says that
 * it closes it; a channel ends only where c-ares is not on the stack. */
#include "net/resolver.h"

#include "base/clock.h"
#include "base/mem.h"

#include <ares.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>

#define CONF_PATH    "/etc/resolv.conf"
#define CONF_LOOK_MS 1000

/* What tells one resolv.conf from another; all 0 where there is none. */
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
};

struct resolver {
    struct loop *loop;
    struct resolver_options options;
    struct channel *now;  /* is asked; NULL before the first question */
    struct list channels; /* with those that only end what they have begun */
    struct stamp conf;    /* what `now` has read */
    uint64_t looked;      /* clock_ms of the last look at it */
    struct query *asking; /* c-ares is being given this one */
    bool freeing;
};

struct channel {
    struct list node;
    struct resolver *r;
    ares_channel ares;
    struct timer timer;
    struct list socks;
    size_t queries;
    struct loop_task end;
};

struct sock {
    struct list node;
    struct loop_io io;
    struct channel *c;
};

struct query {
    struct channel *c;
    void (*done)(void *who, const struct resolver_answer *a);
    void *who;
};

/* ---- Sockets and time ---- */

/* After each call into c-ares that may have changed what it waits for. */
static void arm(struct channel *c)
{
    struct timeval tv;
    if (!c->queries || !ares_timeout(c->ares, NULL, &tv)) {
        timer_clear(&c->r->loop->timers, &c->timer);
        return;
    }
    uint64_t us = (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
    timer_set(&c->r->loop->timers, &c->timer, us / 1000 + 1);
}

static void on_due(struct timer *t)
{
    struct channel *c = CONTAINER_OF(t, struct channel, timer);
    ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(c);
}

/* The socket, and so io, may be gone after the call; the channel is not. */
static void on_sock(struct loop_io *io, uint32_t events)
{
    struct channel *c = CONTAINER_OF(io, struct sock, io)->c;
    bool broken = events & (EPOLLERR | EPOLLHUP);
    int in = broken || (events & EPOLLIN) ? io->fd : ARES_SOCKET_BAD;
    int out = events & EPOLLOUT ? io->fd : ARES_SOCKET_BAD;
    ares_process_fd(c->ares, in, out);
    arm(c);
}

static struct sock *sock_of(struct channel *c, int fd)
{
    LIST_EACH(it, &c->socks)
    {
        struct sock *s = CONTAINER_OF(it, struct sock, node);
        if (s->io.fd == fd)
            return s;
    }
    return NULL;
}

static struct sock *sock_new(struct channel *c, int fd)
{
    struct sock *s = mem_alloc(sizeof *s);
    s->c = c;
    s->io = (struct loop_io){.on_ready = on_sock, .fd = fd};
    list_add_tail(&c->socks, &s->node);
    return s;
}

/* Neither: c-ares closes it right behind this call. */
static void on_sock_state(void *channel, ares_socket_t fd, int readable, int writable)
{
    struct channel *c = channel;
    struct sock *s = sock_of(c, fd);
    uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);
    if (events) {
        s = s ? s : sock_new(c, fd);
        (void)loop_set(c->r->loop, &s->io,
                       events); /* unheard, it is a server that does not answer */
    } else if (s) {
        loop_forget(c->r->loop, &s->io);
        list_remove(&s->node);
        free(s);
    }
}

/* ---- Channels ---- */

static const char *conf_of(const struct resolver *r)
{
    return r->options.conf ? r->options.conf : CONF_PATH;
}

static struct stamp stamp_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return (struct stamp){0};
    return (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static bool stamp_same(const struct stamp *a, const struct stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void channel_close(struct channel *c)
{
    struct resolver *r = c->r;
    ares_destroy(c->ares);
    check(list_empty(&c->socks) && c->queries == 0);
    timer_clear(&r->loop->timers, &c->timer);
    if (c->end.node.next)
        list_remove(&c->end.node);
    list_remove(&c->node);
    free(c);
}

static void on_end(struct loop_task *task)
{
    channel_close(CONTAINER_OF(task, struct channel, end));
}

static int channel_init(struct channel *c)
{
    const struct resolver_options *mine = &c->r->options;
    struct ares_options o = {.timeout = RESOLVER_TIMEOUT_MS,
                             .tries = RESOLVER_TRIES,
                             .udp_port = mine->port,
                             .tcp_port = mine->port,
                             .sock_state_cb = on_sock_state,
                             .sock_state_cb_data = c};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    char *conf = mem_strdup(conf_of(c->r)); /* c-ares copies it */
    if (mine->timeout_ms)
        o.timeout = (int)mine->timeout_ms;
    if (mine->port)
        mask |= ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT;
    if (mine->conf)
        mask |= ARES_OPT_RESOLVCONF;
    o.resolvconf_path = conf;
    int status = ares_init_options(&c->ares, &o, mask);
    free(conf);
    return status;
}

/* NULL: c-ares cannot, for want of memory. */
static struct channel *channel_open(struct resolver *r)
{
    struct channel *c = mem_alloc(sizeof *c);
    c->r = r;
    c->end.run = on_end;
    list_init(&c->socks);
    timer_init(&c->timer, on_due);
    if (channel_init(c) != ARES_SUCCESS) {
        free(c);
        return NULL;
    }
    list_add_tail(&r->channels, &c->node);
    return c;
}

/* The channel for a new question. The file is looked at before c-ares reads it: a change in between is seen next time. */
static struct channel *channel_now(struct resolver *r)
{
    if (r->now && clock_ms() - r->looked < CONF_LOOK_MS)
        return r->now;
    struct stamp conf = stamp_of(conf_of(r));
    r->looked = clock_ms();
    if (r->now && stamp_same(&conf, &r->conf))
        return r->now;
    struct channel *next = channel_open(r), *last = r->now;
    if (!next)
        return last;
    r->now = next;
    r->conf = conf;
    if (last && !last->queries)
        channel_close(last);
    return next;
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *o)
{
    struct resolver *r = mem_alloc(sizeof *r);
    r->loop = loop;
    r->options = *o;
    list_init(&r->channels);
    ares_library_init(ARES_LIB_INIT_ALL);
    return r;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    r->freeing = true;
    LIST_EACH(it, &r->channels)
    {
        channel_close(CONTAINER_OF(it, struct channel, node));
    }
    ares_library_cleanup();
    free(r);
}

/* ---- Questions ---- */

static enum host_error error_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return HOST_FOUND;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
        return HOST_NONE;
    case ARES_EBADNAME:
        return HOST_BAD;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED:
        return HOST_SILENT;
    default:
        return HOST_FAILED;
    }
}

static uint32_t least_ttl(const struct ares_addrinfo *found)
{
    int least = INT32_MAX;
    for (const struct ares_addrinfo_node *at = found->nodes; at; at = at->ai_next)
        least = at->ai_ttl < least ? at->ai_ttl : least;
    for (const struct ares_addrinfo_cname *at = found->cnames; at; at = at->next)
        least = at->ttl < least ? at->ttl : least;
    return least > 0 ? (uint32_t)least : 0; /* RFC 2181 section 8: the highest bit means 0 */
}

static unsigned count(const struct ares_addrinfo *found, int family)
{
    unsigned n = 0;
    for (const struct ares_addrinfo_node *at = found->nodes; at; at = at->ai_next)
        n += at->ai_family == family;
    return n;
}

/* How many of one family are taken. */
static unsigned share(unsigned mine, unsigned others)
{
    unsigned half = RESOLVER_ADDRESSES / 2;
    unsigned room = RESOLVER_ADDRESSES - (others < half ? others : half);
    return mine < room ? mine : room;
}

static void take(struct resolver_answer *a, const struct ares_addrinfo *found)
{
    unsigned n4 = count(found, AF_INET), n6 = count(found, AF_INET6);
    unsigned left4 = share(n4, n6), left6 = share(n6, n4);
    for (const struct ares_addrinfo_node *at = found->nodes; at; at = at->ai_next) {
        unsigned *left = at->ai_family == AF_INET    ? &left4
                         : at->ai_family == AF_INET6 ? &left6
                                                     : NULL;
        if (!left || !*left || at->ai_addrlen > sizeof a->v[0])
            continue;
        memcpy(&a->v[a->n++], at->ai_addr, at->ai_addrlen);
        --*left;
    }
    a->ttl = least_ttl(found);
    if (!a->n)
        a->error = HOST_NONE;
}

static void read_answer(struct resolver_answer *a, int status, struct ares_addrinfo *found)
{
    a->error = error_of(status);
    if (found && a->error == HOST_FOUND)
        take(a, found);
    if (found)
        ares_freeaddrinfo(found);
}

static void on_found(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct query *q = arg;
    struct channel *c = q->c;
    struct resolver_answer a = {.local = c->r->asking == q};
    (void)timeouts;
    read_answer(&a, status, found);
    c->queries--;
    if (!c->r->freeing)
        q->done(q->who, &a);
    if (c->queries == 0 && c != c->r->now && !c->r->freeing)
        loop_later(c->r->loop, &c->end);
    free(q);
}

static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
                                                 .ai_flags = ARES_AI_ENVHOSTS};

static void on_localhost(void *answer, int status, int timeouts, struct ares_addrinfo *found)
{
    (void)timeouts;
    read_answer(answer, status, found);
}

/* As /etc/hosts has it, else as RFC 6761 section 6.3 does. c-ares 1.18 does both, but loses memory each time at the latter.
 * It knows the name by small letters only, and /etc/hosts by any; and this channel asks nobody else. */
static void find_localhost(struct resolver_answer *a)
{
    char lookups[] = "f";
    struct ares_options o = {.lookups = lookups};
    ares_channel hosts;
    a->error = HOST_NONE;
    if (ares_init_options(&hosts, &o, ARES_OPT_LOOKUPS) == ARES_SUCCESS) {
        ares_getaddrinfo(hosts, "LOCALHOST", NULL, &hints, on_localhost, a);
        ares_destroy(hosts);
    }
    if (a->error != HOST_FOUND) {
        check(host_addr_parse(CS_S("::1"), &a->v[0]) &&
              host_addr_parse(CS_S("127.0.0.1"), &a->v[1]));
        a->error = HOST_FOUND;
        a->n = 2;
    }
}

static void ask_channel(struct channel *c, const char *name,
                        void (*done)(void *who, const struct resolver_answer *a), void *who)
{
    struct query *q = mem_alloc(sizeof *q);
    *q = (struct query){.c = c, .done = done, .who = who};
    c->queries++;
    c->r->asking = q; /* only to be compared: it may be gone when this returns */
    ares_getaddrinfo(c->ares, name, NULL, &hints, on_found, q);
    c->r->asking = NULL;
    arm(c);
}

void resolver_ask(struct resolver *r, const char *name,
                  void (*done)(void *who, const struct resolver_answer *a), void *who)
{
    struct resolver_answer a = {.error = HOST_FAILED, .local = true};
    bool localhost = str_is(str_of(name), "localhost");
    struct channel *c = localhost ? NULL : channel_now(r);
    if (c) {
        ask_channel(c, name, done, who);
        return;
    }
    if (localhost)
        find_localhost(&a);
    done(who, &a);
}
