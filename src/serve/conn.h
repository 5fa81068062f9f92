/* conn.h - one HTTP/1 connection: it reads, keeps requests in order, and writes. What a request is
 * and how it is answered is request.h's business, so that several requests may be alive at once.
 *
 *   IDLE --bytes--> HEAD --head complete--> request runs (body, handler, answer) --done--> IDLE or
 * LINGER
 *
 * An answer may go on as a stream when its request has ended (feed.h). It is the connection's last: what the client sends
 * then is dropped.
 *
 * A batch of pipelined requests is answered in one write. Every way out goes through conn_close. */
#ifndef SERVE_CONN_H
#define SERVE_CONN_H

#include "base/cidr.h"
#include "net/stream.h"
#include "serve/ctx.h"
#include "serve/inbuf.h"

struct errand;
struct feed;
struct request;
struct sockaddr;

enum conn_wait { /* what the deadline stands for */
    CONN_WAIT_NONE,
    CONN_WAIT_HEAD,
    CONN_WAIT_BODY,
    CONN_WAIT_IDLE,
    CONN_WAIT_WRITE,
    CONN_WAIT_LINGER
};

/* In a worker that drains: what becomes of the stream. giver.h */
enum conn_giving {
    CONN_NOT_GIVEN,
    CONN_ABLE,  /* it may go */
    CONN_BUSY,  /* when it has sent what waits */
    CONN_STAYS, /* it cannot */
    CONN_SENT   /* is on its way: nobody touches the socket */
};

/* There may be many thousands that wait for a next request, so a connection has nothing that only a request, a stream or
 * an answer needs: buffers come when there is something to read, and go with the last byte of it. */
struct conn {
    uint32_t magic;
    struct stream stream;
    struct loop_io io;
    struct serve *serve;
    struct list node; /* in serve->conns */
    struct list
        idle_node; /* in serve->idle (or serve->fresh before the first look), or one of a giver's */
    struct loop_task task; /* go on, or be freed, at the end of the loop's turn */

    struct timer timer; /* fires at or before `deadline`, and is then set again: deadline.h */
    uint64_t deadline;
    uint64_t linger_until; /* no new deadline for lingering after this */

    struct inbuf *in;        /* NULL while there is nothing to read from it */
    uint32_t in_off, in_len; /* unread bytes are in->data[in_off..in_len) */

    struct request *current; /* being read or answered; NULL between requests */
    struct request *first,
        **last; /* all that still have output to send, in order; current is the last of them */
    struct feed *feed;    /* a stream; it comes when all requests have ended */
    struct errand *outer; /* whose subrequest it is, while that lasts */
    uint64_t requests;    /* heads seen */
    uint64_t sent;        /* bytes */
    uint64_t ahead;       /* bytes of complete answers that were queued since all had left */
    uint32_t dropped;     /* bytes read and dropped since the last deadline was set */
    int32_t unsent;       /* what was in the socket at the last look */
    uint8_t queue;        /* how many requests are between first and last */
    uint8_t wait;         /* enum conn_wait */
    uint8_t silent;       /* looks in a row at which the client had taken nothing */
    uint8_t listener;     /* index of the listener */
    uint8_t giving;       /* enum conn_giving */
    uint8_t deaths;       /* heirs that have died when this one was the next to be answered */
    uint8_t depth; /* 0; or its client is a request of this worker: a subrequest, so many deep */

    bool running;  /* inside conn_run: callbacks need not wake it */
    bool eof;      /* the client sends no more */
    bool broken;   /* reading or writing failed: nothing can be sent */
    bool blocked;  /* the socket is full: it has said so */
    bool paused;   /* its turn is over: the socket may take more in the next one */
    bool last_one; /* no request after the current one */
    bool unread;   /* there may be input that nobody will read: linger when closing */
    bool progress; /* bytes have left since the write deadline was set */
    bool torn; /* its client would take the end for that of the answer: a reset tells it better */
    bool lingering; /* linger.h */
    bool closed;
    bool idle;     /* is in serve->idle */
    bool preamble; /* a PROXY header has to come first */
    bool shared;   /* another worker may have the socket too: closing it here does not end it */
    bool by_ip;    /* `peer` is its other end; false: it came by a unix socket */
    bool told;     /* a PROXY header has named the client: */
    struct cidr_addr client;
    struct cidr_addr peer;
};

/* A new connection on fd (taken over). The first read happens in conn_begin. peer NULL: it has no address. */
struct conn *conn_new(struct serve *s, int fd, unsigned listener, const struct sockaddr *peer);

/* The same for one that comes from another worker, which has counted it: a stream follows (feed_adopt). */
struct conn *conn_moved(struct serve *s, int fd, unsigned listener, const struct sockaddr *peer);

/* The server's end of a subrequest of r, on fd (taken over). It counts for nothing, and has the client of r. */
struct conn *conn_inner(struct request *r, int fd, struct errand *outer);

/* Is it the event of a connection? */
bool conn_is_io(const struct loop_io *io);

/* Reads what is there and goes on with everything that can go on. */
void conn_begin(struct conn *c);

/* Something happened to the current request outside of the connection's own events (a timer, an
 * answer): go on with it at the end of this turn of the loop. */
void conn_wake(struct conn *c);

/* Sends what waits for its stream, as far as that is possible now. May end the connection. */
void conn_push(struct conn *c);

/* Ends the connection at the end of this turn, without sending what waits. */
void conn_break(struct conn *c);

/* Ends the connection now; requests still alive learn it through on_close. */
void conn_close(struct conn *c);

/* Waits for a next request: nothing of it has come, nothing is being sent. */
bool conn_is_idle(const struct conn *c);

/* Takes the first request off the queue and ends it: its answer has left. */
void conn_pop(struct conn *c);

/* Has it something to send for which it waits, for the socket or for the next turn? */
static inline bool conn_must_wait(const struct conn *c)
{
    return c->blocked || c->paused;
}

/* Its stream is about to go to another worker: nothing is read or written, until conn_thaw. */
void conn_freeze(struct conn *c);
void conn_thaw(struct conn *c);

/* The address of the other end as text, written to `room`. It may be a proxy's: see client.h. */
cs_str conn_peer(const struct conn *c, char room[CIDR_TEXT_MAX]);

#endif
