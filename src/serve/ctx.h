/* ctx.h - one worker's serving state: what it lends to every connection. serve.c makes it. */
#ifndef SERVE_CTX_H
#define SERVE_CTX_H

#include "base/arena.h"
#include "base/list.h"
#include "event/loop.h"
#include "ipc/turn.h"
#include "module/host.h"
#include "os/stack.h"
#include "serve/plan.h"
#include "serve/route.h"
#include "serve/stamp.h"

struct access_logs;
struct giver;
struct inbuf;
struct names;
struct request;
struct upstreams;

#define SERVE_TOKENS 256 /* buckets */

/* One socket of a listener as this worker watches it. */
struct accept_point {
    struct loop_io io;
    const struct serve_listener *listener;
    unsigned index;  /* of the listener, in plan->listeners */
    unsigned socket; /* in listener->fds */
    bool listens;    /* not only bound */
    bool ready;      /* in this turn of the loop */
};

/* What decides which points are armed: as long as it stays the same, nothing need be done. */
struct accept_arming {
    bool turn, shared, may, open;
};

/* The share of this worker since it last went to the tail of the kernel's queues. */
struct accept_share {
    uint64_t mine, all; /* accepts at that time */
};

struct serve {
    struct serve_plan *plan;
    const struct conf_limits *limits;
    struct loop *loop;
    struct region *region;
    struct ipc_slot *slot;
    int slot_index;
    struct host *host;

    struct turn turn;
    struct accept_point *points;
    size_t npoints, first_point; /* first_point: which is served first, one further each time */
    struct loop_io bell;
    struct accept_arming armed;
    struct accept_share share;
    uint32_t epoch; /* of the sockets' owners, as seen last */
    bool shares;    /* some listener has policy exclusive */
    bool
        look_again; /* at what is shared: a wake-up may have gone to somebody who could not use it */
    bool refused;   /* something is there that this worker may not accept */
    struct timer pause;     /* accepting rests: out of descriptors */
    uint64_t pause_told;    /* when the log was told of it, in ms */
    int spare_fd;           /* given up to answer one more connection when there are no others */
    struct list fresh;      /* accepted in this turn of the loop, not yet looked at */
    uint64_t recycle_after, /* as set: recycle_at was worked out from it */
        recycle_at; /* number of requests after which a successor may come; 0 = never, or told */
    bool open, draining;
    bool leaving;     /* the server stops: see serve_leave */
    bool debug;       /* [server] module_debug */
    size_t nleft_out; /* modules in quarantine when the streams were looked through last */
    struct loop_task orphans;

    struct list conns; /* all, in no order */
    struct list idle;  /* waiting for a next request, the one that waits longest first */
    unsigned nconns, max_conns;
    int nidle;
    struct giver *giver; /* since it drains: where its streams go */
    struct list takers;  /* channels on which streams come */

    struct arena_pool arenas; /* chunks for requests */
    struct inbuf *spare_in;   /* receive buffers not in use */
    unsigned nspare_in;

    struct names *names;         /* of other servers */
    struct upstreams *upstreams; /* connections to them */
    struct stack_pool stacks;    /* of tasks */

    struct access_logs *logs;
    uint64_t next_id;                     /* request ids: a random start, then counting */
    struct request *tokens[SERVE_TOKENS]; /* by id */

    struct stamp stamp;
};

static inline void serve_count_one(struct serve *s, enum ipc_counter c)
{
    region_add(s->slot, c, 1);
}

/* Workers of new settings accept nothing before these are live: until then the old listeners are those that count. */
static inline bool serve_is_live(const struct serve *s)
{
    return atomic_load(&s->region->header->generation) >= s->plan->generation;
}
static inline enum ipc_fit serve_fitness(const struct serve *s)
{
    return (enum ipc_fit)atomic_load_explicit(&s->slot->fit, memory_order_relaxed);
}

/* Invariant of the accept turn: whatever calls into a module comes past here. */
static inline void serve_enter_module(const struct serve *s)
{
    check(!s->turn.have);
}

#endif
