/* upstream.h - connections to other servers: those in use, and those that are kept for the next request to the same origin
 * (host and port).
 *
 * A kept connection that says anything is closed at once: nobody has asked, so it is the end, or bytes that must not
 * become somebody's answer. The one that was kept last is used first, so the others grow old and go. */
#ifndef NET_UPSTREAM_H
#define NET_UPSTREAM_H

#include "base/str.h"
#include "event/loop.h"
#include "net/names.h"
#include "net/room.h"
#include "net/stream.h"

#define UPSTREAM_ORIGIN_IDLE 64  /* kept for one origin at most; beyond it the oldest goes */
#define UPSTREAM_IDLE_MAX    512 /* kept by the process at most */
#define UPSTREAM_IDLE_MS                                                                           \
    30000 /* for so long: less than the 60 to 75 s of common servers, so that it is this side that closes */
#define UPSTREAM_INTEREST (EPOLLIN | EPOLLRDHUP) /* of a connection that is kept or read from */

enum upstream_count {
    UPSTREAM_STARTED,   /* exchanges */
    UPSTREAM_CONNECTED, /* connections made */
    UPSTREAM_REUSED,    /* kept connections taken */
    UPSTREAM_REPEATED,  /* requests sent again, since the kept connection was closed */
    UPSTREAM_NO_NAME,   /* exchanges that failed, in the order of enum exchange_result */
    UPSTREAM_NO_CONNECT,
    UPSTREAM_TIMEOUT,
    UPSTREAM_BROKEN,
    UPSTREAM_BAD,
    UPSTREAM_OPEN, /* connections now, with the kept ones: goes up and down */
    UPSTREAM_IDLE, /* kept ones now */
    UPSTREAM_COUNTS
};

#define UPSTREAM_BUCKETS 64

struct upstreams { /* of one process */
    struct loop *loop;
    struct names *names;
    struct rooms rooms;
    int64_t counts[UPSTREAM_COUNTS];
    /* May be NULL. owner: the caller's. */
    void (*on_count)(struct upstreams *u, enum upstream_count which, int by);
    void *owner;

    /* Private. */
    struct list kept; /* struct upstream, the oldest first */
    struct list origins[UPSTREAM_BUCKETS];
    struct timer timer; /* the oldest goes */
};

struct upstream {      /* one connection */
    struct loop_io io; /* its user's, while it is used */
    struct stream stream;
    struct upstreams *of;
    void *user; /* for on_ready */

    /* Private, while it is kept. */
    struct list by_age, by_origin;
    struct upstream_origin *origin;
    uint64_t until;
};

/* names is the caller's and outlives it. */
struct upstreams *upstreams_new(struct loop *loop, struct names *names);
/* Closes what is kept. Nothing may be in use any more. */
void upstreams_free(struct upstreams *u);
void upstreams_count(struct upstreams *u, enum upstream_count which, int by);

/* A connected, non-blocking socket, taken over. Counts it as open and no more. */
struct upstream *upstream_new(struct upstreams *u, int fd);
/* A kept connection, which the kernel says is open and silent; NULL: there is none. Its io is registered for UPSTREAM_INTEREST, and
 * on_ready is to be set. */
struct upstream *upstream_take(struct upstreams *u, cs_str host, uint16_t port);
/* Nothing is under way on it: it is kept for the next. It may have to be closed at once. */
void upstream_keep(struct upstream *c, cs_str host, uint16_t port);
void upstream_close(struct upstream *c);

#endif
