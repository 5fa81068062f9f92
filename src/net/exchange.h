/* exchange.h - one request to another server and its answer, over a connection that net/upstream keeps or makes.
 *
 *   name --> connect --> talk --> over
 *               ^          |
 *               `----------'
 *
 * With a kept connection it talks at once. In `talk` what is left of the request is sent and what comes of the answer is read,
 * both as they go. The way back: a kept connection turned out to be closed (once, see `repeatable`).
 *
 * It tells by callbacks, from the loop, never inside a call of it: on_head once, on_data for each piece of the body, on_over last.
 * on_over is called exactly once, unless exchange_drop was called before. Any callback may call anything here, exchange_drop
 * too, and free the struct behind it; on_over may also start it again.
 *
 * The connection is kept for others when the request was sent to its end, and the answer ended as it should with nothing
 * behind it, and the server does not close it. Answers 1xx are skipped. */
#ifndef NET_EXCHANGE_H
#define NET_EXCHANGE_H

#include "base/buf.h"
#include "http/reply_body.h"
#include "net/dial.h"
#include "net/upstream.h"

#define EXCHANGE_QUEUE_MAX   262144 /* bytes of the request's body that wait; more: CS_AGAIN */
#define EXCHANGE_INTERIM_MAX 8      /* answers 1xx */

enum exchange_result { /* of on_over */
    EXCHANGE_OK,
    EXCHANGE_NO_NAME,    /* the host has no address */
    EXCHANGE_NO_CONNECT, /* refused, unreachable */
    EXCHANGE_TIMEOUT,    /* which limit: in `why` */
    EXCHANGE_BROKEN,     /* the connection ended before the answer was whole */
    EXCHANGE_BAD,        /* the answer is not HTTP, or more than is allowed */
};

struct exchange_opts {
    struct upstreams *upstreams;
    cs_str host; /* as for names_find; borrowed like head */
    uint16_t port;
    int fd; /* >= 0: this connected socket instead, which is taken over and not kept afterwards; host is empty then */

    /* Borrowed until on_over or exchange_drop: */
    cs_str head; /* of the request, as http_ask_write makes it */
    cs_str body; /* all of it, or empty */
    /* The body comes by exchange_send instead, in chunks, or raw: its length is in the head then, and who sends answers for it. */
    bool body_follows, chunked;
    bool to_head; /* the method is HEAD */
    /* The request is idempotent: when a kept connection turns out to be closed before a byte of the answer came, it is sent once
     * more, over a new one, unless its body follows. (One of which no byte could be sent is always repeated.) */
    bool repeatable;

    /* Limits; 0: none. The last one does not count while this side is waited for (exchange_send, exchange_resume). */
    int64_t connect_ms; /* for name and connection; anew when it is repeated */
    int64_t head_ms;    /* from the request's last byte until the head of the answer is there */
    int64_t idle_ms;    /* in which something has to move, in either direction, while a body does */
    size_t max_head;    /* bytes of the answer's head; 0: ROOM_SIZE. Fields: at most ROOM_FIELDS */
};

struct exchange {
    struct http_reply reply;     /* valid from on_head until on_over has returned */
    struct http_reply_body body; /* from on_head on: http_reply_body_length */
    /* When the result is not OK, a sentence for the log: "10.0.0.1:8080: Connection refused". */
    char why[DIAL_WHY_SIZE];

    void (*on_head)(struct exchange *x);
    /* CS_OK: taken. CS_AGAIN: not taken, and no more is read until exchange_resume, which has it delivered again. */
    int (*on_data)(struct exchange *x, cs_str data);
    /* After exchange_send said CS_AGAIN: all has left, or the other side takes no more (the next exchange_send says so). May be NULL
     * where the body does not follow. */
    void (*on_drain)(struct exchange *x);
    void (*on_over)(struct exchange *x, enum exchange_result result);

    /* Private. */
    unsigned magic;
    int phase;
    struct exchange_opts opts;
    struct names_wait name;
    struct dial *dial;
    struct upstream *conn;
    uint64_t connect_due;
    struct loop_task task; /* begin, go on, resume */
    struct timer timer;
    int limit;  /* which one the timer is set for */
    bool *gone; /* during a callback: is set when the exchange has been dropped */

    /* Of the request. */
    size_t head_off, body_off, queue_off;
    struct buf queue; /* of the body that follows */
    uint64_t sent;    /* bytes, over this connection */
    int send_error;   /* errno: the other side takes no more */
    bool last;        /* all of the body is there */
    bool drain;       /* on_drain is due when all has left */

    /* Of the answer. */
    struct room *room;
    void *head_memory; /* fields and bytes of reply */
    cs_str held;       /* delivered and not taken */
    unsigned interim;
    bool answered;       /* a byte has come over this connection */
    bool in_body;        /* the head is there */
    bool paused, resume; /* on_data said CS_AGAIN; exchange_resume was called */

    bool reused; /* this connection was kept */
    bool moved;  /* bytes did, since the timer was set */
};

/* Zeroed but for the callbacks, or over. Never fails at once: what goes wrong comes by on_over. */
void exchange_start(struct exchange *x, const struct exchange_opts *opts);
/* From on_head on: the memory that the fields of reply lie in, which is the caller's from now on (free). Once. */
void *exchange_take_head(struct exchange *x);
/* Also from inside on_data that is about to say CS_AGAIN. */
void exchange_resume(struct exchange *x);
/* Is there something that on_data has not taken? */
static inline bool exchange_is_paused(const struct exchange *x)
{
    return x->phase && x->paused;
}
/* A piece of the request's body, sent at once or copied: CS_OK. CS_AGAIN: taken, but wait for on_drain. CS_CLOSED: not
 * taken; it is over, or the other side takes no more (its answer may still come). It may be called as soon as the exchange is
 * started. When the answer is whole before all of the body was sent, that is the end: the rest is dropped and the
 * connection not kept. */
int exchange_send(struct exchange *x, cs_str data, bool last);
/* No more callbacks; the connection is closed. Nothing happens when it is over, or was never started. */
void exchange_drop(struct exchange *x);

#endif
