/* respond.h - makes the answer: conditions, the route's header filters, then ranges or its body filters, framing, the head,
 * the pieces. A filter sees the status 304 of an unmodified body, but 200 where only a range of it is sent. */
#ifndef SERVE_RESPOND_H
#define SERVE_RESPOND_H

#include "serve/request.h"

/* The body of a complete answer. */
struct respond_body {
    const char *p; /* memory; NULL: a file (or nothing, when len is 0) */
    int fd;        /* -1: none */
    uint64_t off, len;
    cs_cb release; /* NULL: memory stays valid / fd is closed */
    void *arg;
    unsigned module; /* whose release it is; 0: ours */
    bool ranges;     /* may be served in parts */
};

/* A complete answer. type NULL: none. Takes the body over in any case. CS_OK, or CS_ERROR when
 * there is an answer already. */
int respond(struct request *r, int status, const char *type, struct respond_body body);

/* The page for a status: the error page of the route or site (jump.h), in the next step, else a short text page. extra: one more sentence, or NULL. */
void respond_page(struct request *r, int status, const char *extra);

/* Nobody will read what is left of the request's body: it is dropped, or the connection ends behind the answer. */
void respond_settle_body(struct request *r);

/* Ends an answer that cannot be finished: the connection closes behind what is queued, without the end that the head
 * has promised, so that the client sees that something is missing. One that is whole stays. */
void respond_abort(struct request *r);
/* For filters: also one of which only they still have something. */
void respond_cut(struct request *r);

/* Refuses a head or body: standard page, connection closes behind it. */
void respond_refuse(struct request *r, int status);

/* Starts an answer in pieces; len -1: unknown. */
int respond_start(struct request *r, int status, const char *type, int64_t len);
/* A piece, copied. CS_OK, CS_AGAIN (taken, but wait), CS_CLOSED, CS_ERROR (not started, or over
 * already, or more or, with last, less than announced: that aborts the answer). */
int respond_send(struct request *r, cs_str data, bool last);

/* The head of an answer whose end is the end of the connection, and no body: that is somebody else's. CS_OK, or CS_ERROR
 * when there is an answer already. */
int respond_detach(struct request *r, int status);

/* Fields of the answer. CS_OK, CS_ERROR (bad or reserved), CS_CLOSED. */
int respond_set_field(struct request *r, cs_str name, cs_str value, bool add);

/* "HTTP/1.1 100 Continue", if the client waits for it. */
void respond_continue(struct request *r);

/* For filters: a piece as it goes to the client, and a body that is not sent. */
int respond_put(struct request *r, cs_str data, bool last);
void respond_release_foreign(const struct respond_body *b);
static inline void respond_release(const struct respond_body *b)
{
    if (b->release || (!b->p && b->fd >= 0))
        respond_release_foreign(b);
}

/* Bytes above which respond_send says CS_AGAIN. */
#define RESPOND_HIGH_WATER (256 * 1024)

#endif
