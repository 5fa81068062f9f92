/* reply.h - what a client gets, byte by byte: the heads, the body as it was framed, what comes behind it. A request
 * that another server gets is read in the same way. */
#ifndef KIT_REPLY_H
#define KIT_REPLY_H

#include "base/buf.h"
#include "http/body.h"

enum reply_phase {
    REPLY_HEAD,
    REPLY_LENGTH,
    REPLY_CHUNKED,
    REPLY_UNTIL_CLOSE,
    REPLY_WHOLE,
    REPLY_BAD /* no HTTP */
};

struct reply {
    bool is_request; /* one that this process sends, so it is well-formed; status stays 0 */
    bool to_head;    /* the request was HEAD: there is no body; a request: it is HEAD */
    enum reply_phase phase;
    struct buf in; /* all that has come */
    size_t taken;  /* of it */
    int status;    /* 0: no final head yet */
    size_t head, head_end;
    uint64_t left; /* REPLY_LENGTH */
    struct http_chunked chunked;
    struct buf body;
};

/* Takes what has been added to `in`. */
void reply_take(struct reply *r);
/* The connection has ended: in good order, or not. */
void reply_end(struct reply *r, bool good);
void reply_free(struct reply *r);
/* First field of that name in a head; p is NULL when there is none. */
cs_str reply_field(cs_str head, cs_str name);

#endif
