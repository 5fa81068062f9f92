/* out.h - what is still to be sent of one answer: pieces of memory and of files, in order. */
#ifndef SERVE_OUT_H
#define SERVE_OUT_H

#include "base/arena.h"

struct out_piece {
    struct out_piece *next;
    const char *p; /* memory; NULL: a file */
    size_t n;      /* bytes left */
    int fd;
    uint64_t off;
    cs_cb release; /* called when the piece has been sent or dropped; may be NULL */
    void *arg;
    unsigned module; /* whose release it is; 0: ours */
    unsigned chunk;  /* a file: so much is read on a thread at once; 0: as much as may be */
};

struct out {
    struct out_piece *first, **last;
    uint64_t queued; /* bytes in the pieces */
    uint64_t sent;   /* bytes that have left */
    uint64_t head;   /* how many of the first bytes are not body (status line and fields) */
};

void out_init(struct out *o);
/* Adds a piece made by the caller (in the request's arena, or on the heap with a release that frees
 * it). A piece of 0 bytes is released at once. */
void out_add(struct out *o, struct out_piece *piece);
/* Memory that stays valid: in the arena, or for ever. */
void out_add_mem(struct out *o, struct arena *a, const char *p, size_t n);
/* Drops everything. */
void out_drop(struct out *o);

struct conn;

enum out_result {
    OUT_DONE,    /* everything queued has left */
    OUT_BLOCKED, /* the socket is full, the turn is over, or a thread reads what comes next */
    OUT_BROKEN   /* the peer has gone, or a file was cut short */
};

/* Sends what the connection's requests have queued, in order, with as few calls as possible;
 * requests that are over and sent are ended. */
enum out_result out_flush(struct conn *c);

#endif
