/* respond.h - the answer: conditions, the route's header filters, then ranges (parts.h) or its body filters, framing, the head
 * (header.h), the body. A filter sees the status 304 of an unmodified body, but 200 where only a range of it is sent. */
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

/* The head of an answer whose end is the end of the connection, and no body: that is somebody else's. CS_OK, or CS_ERROR
 * when there is an answer already. */
int respond_detach(struct request *r, int status);

/* "HTTP/1.1 100 Continue", if the client waits for it. */
void respond_continue(struct request *r);

/* ---- For the files that make one: header.h, parts.h, pieces.h, filter.h ---- */

struct header_body;

/* May there be an answer yet? */
bool respond_may(const struct request *r);

/* The route's header filters, which may make another answer of this one. False: they have. */
bool respond_ask_filters(struct request *r);
static inline bool respond_filters_agree(struct request *r)
{
    return r->filtered || !(r->hooks & (ROUTE_HEADER_FILTER | ROUTE_BODY_FILTER)) ||
           respond_ask_filters(r);
}

/* Must the connection end, because the worker drains or because of a body that nobody will read? Decided before the head
 * says so. */
void respond_settle_end(struct request *r);

/* Head and body as they are. */
void respond_emit(struct request *r, const struct header_body *head, const struct respond_body *b);
void respond_add_body(struct request *r, const struct respond_body *b);
/* All of it is queued. */
void respond_complete(struct request *r);

/* A body that is not sent. */
void respond_release_foreign(const struct respond_body *b);
static inline void respond_release(const struct respond_body *b)
{
    if (b->release || (!b->p && b->fd >= 0))
        respond_release_foreign(b);
}

#endif
