/* ctx.h - one worker's serving state: what it lends to every connection. serve.c makes it. */
#ifndef SERVE_CTX_H
#define SERVE_CTX_H

#include "base/arena.h"
#include "base/list.h"
#include "event/loop.h"
#include "ipc/turn.h"
#include "serve/plan.h"
#include "serve/route.h"

struct access_log;
struct inbuf;
struct request;

#define SERVE_TOKENS 256 /* buckets */

/* A listener as this worker watches it. */
struct accept_point {
    struct loop_io io;
    const struct serve_listener *listener;
    unsigned index; /* in plan->listeners */
};

struct serve {
    struct serve_plan *plan;
    const struct conf_limits *limits;
    struct loop *loop;
    struct region *region;
    struct ipc_slot *slot;
    int slot_index;
    cs_self_info *self;
    struct cs_proc *procs; /* one for each module of the conf */

    struct turn turn;
    struct accept_point *points;
    struct loop_io bell;
    struct timer pause;  /* accepting rests: out of descriptors */
    uint64_t pause_told; /* when the log was told of it, in ms */
    struct list fresh;   /* accepted in this turn of the loop, not yet looked at */
    bool open, armed, draining;

    struct list conns; /* all, in no order */
    struct list idle;  /* waiting for a next request, the one that waits longest first */
    unsigned nconns, max_conns;

    struct arena_pool arenas; /* chunks for requests */
    struct inbuf *spare_in;   /* receive buffers not in use */
    unsigned nspare_in;

    struct access_log *access;
    uint64_t next_id;                     /* request ids: a random start, then counting */
    struct request *tokens[SERVE_TOKENS]; /* by id */

    time_t date_at; /* the second that date is for */
    char date[40];  /* "Date: ...\r\n" */
};

/* The Date field for this second, with its CRLF. */
cs_str serve_date(struct serve *s);

static inline void serve_count_one(struct serve *s, enum ipc_counter c)
{
    region_add(s->slot, c, 1);
}

#endif
