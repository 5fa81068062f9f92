/* feed.h - a stream (cs_stream): an answer that has left its request behind. What stays is the connection, the messages
 * that wait for it, and whom to call.
 *
 *   feed_new --the hook has returned CS_OK--> open --feed_close--> closing --all has left--> over
 *      `------any other result, client gone----------'----------------'--------------------^
 *
 * Modules are called from its task only, at the end of a turn of the loop: neither inside a call of theirs nor in the
 * middle of the connection's work. Its last call is on_close; then it is freed. */
#ifndef SERVE_FEED_H
#define SERVE_FEED_H

#include "serve/out.h"
#include "serve/request.h"

#define FEED_MAGIC      0x46454431u
#define FEED_HIGH_WATER ((size_t)256 * 1024) /* bytes above which feed_send says CS_AGAIN */
#define FEED_FEW        4                    /* messages that wait without memory of their own */

struct group;

/* Bytes that any number of streams send. */
struct feed_msg {
    uint32_t refs;
    size_t n;
    struct feed_msg *next; /* in a group */
    uint64_t seq;          /* of the group's messages */
    char data[];
};

/* A callback with the module it belongs to. */
struct feed_call {
    void (*cb)(cs_stream *s, void *arg);
    void *arg;
    unsigned module;
};

struct feed {
    uint32_t magic;
    uint16_t status;
    uint8_t module; /* whose it is */
    bool closing;   /* takes nothing more */
    bool over;      /* has neither connection nor request any more: on_close is due */
    struct serve *serve;
    struct request *request; /* whose hook has not returned yet */
    struct conn *conn;       /* from then on */

    const struct route *route; /* of its request; NULL: not known */
    struct group *group;
    struct list node; /* in it */
    uint64_t next;    /* the first of its messages that has not been given to this stream */

    struct feed_msg **queue; /* a ring of `room`; `few` while that is enough */
    uint32_t first, n, room;
    size_t off;    /* bytes of the first one that have left */
    size_t queued; /* bytes that have not */
    struct feed_msg *few[FEED_FEW];

    struct feed_call on_drain, on_close;
    struct loop_task task;
};

/* A message with room for n bytes and one reference; NULL: out of memory. */
struct feed_msg *feed_msg_new(size_t n);
void feed_msg_release(struct feed_msg *m);

/* A stream of r, whose hook or callback is running. NULL: r has an answer or another stream, or its body is not over. */
struct feed *feed_detach(struct request *r, int status);
/* A hook of r that may answer has returned rc: its stream, if it has made one, begins or is taken back. Call it before rc
 * is looked at. */
void feed_judge(struct request *r, int rc);

/* A stream without a request. */
struct feed *feed_new(struct serve *s);
/* One that comes from another worker, on a connection that is new here (conn_moved, and nothing else). The caller says
 * whose it is. */
struct feed *feed_adopt(struct conn *c);
/* Nothing can reach the client any more: drops what waits, leaves the group; on_close comes. */
void feed_end(struct feed *f);
/* Ends it behind what it has been given, and what its group has been given before. */
void feed_close(struct feed *f);

/* Is it of a module that is in quarantine, or waits for one? Nobody would send to it any more. */
bool feed_is_orphan(const struct feed *f);
/* Does it take nothing more? */
bool feed_is_closed(const struct feed *f);
/* CS_OK, CS_AGAIN (taken), CS_CLOSED, CS_NOMEM. */
int feed_send(struct feed *f, cs_str data);
/* Bytes that have not left, with those that its group has and has not given to it yet. */
size_t feed_queued(struct feed *f);
/* Adds a reference to m; does not send. */
void feed_push(struct feed *f, struct feed_msg *m);
/* Sends what the socket takes. Only when the connection has nothing else to send. */
enum out_result feed_flush(struct feed *f);

/* conn_thaw: what was put off goes on. */
void feed_thaw(struct feed *f);

/* CS_OK, CS_CLOSED. */
int feed_on_drain(struct feed *f, struct feed_call call);
int feed_on_close(struct feed *f, struct feed_call call);

static inline cs_stream *feed_public(struct feed *f)
{
    return (cs_stream *)(void *)f;
}
static inline struct feed *feed_of(const cs_stream *s)
{
    struct feed *f = (struct feed *)(uintptr_t)(const void *)s;
    MAGIC_CHECK(f, FEED_MAGIC);
    return f;
}

#endif
