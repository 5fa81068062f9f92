/* fetch.h - what is sent from a file, where the disk may be slow: nothing here waits for it on the loop.
 *
 *     fetch_warm        how much of the next bytes is in memory, so that the loop may send or read them itself
 *     fetch_begin       else: a thread reads them into a buffer; the connection goes on when it has
 *     fetch_take        what it has brought; fetch_end lets it go
 *
 * A request has at most one at a time, and its buffer is there from when the thread begins to read until the loop has
 * sent what the socket takes: what it does not take is read again. Twice as many as there are threads run or have a buffer, and all
 * others wait for their turn here: so memory is bounded by the threads, however many clients there are and however slow they are.
 *
 * A request that ends while its thread still reads stays until that has returned, as with jobs (offload.h). */
#ifndef SERVE_FETCH_H
#define SERVE_FETCH_H

#include "serve/request.h"

enum {
    FETCH_MOST = 256 * 1024, /* bytes that one takes */
    FETCH_LEAST = 16 * 1024  /* ... when the socket has taken little of the last one */
};

/* How many of the n bytes from off may be read at once: they were in memory a moment ago. 0: that is not known. Also what
 * cannot be read for another reason, an end that came too early or an error, is no reason to wait: whoever reads sees it. */
size_t fetch_warm(int fd, uint64_t off, size_t n);

/* Reads into `room` what is in memory. Bytes, 0 at the end, -EAGAIN: it is not there, or -errno. */
ssize_t fetch_read_warm(int fd, uint64_t off, char *room, size_t n);

/* There is none yet. Has n bytes read, from off; later, if the file goes on so far, perhaps `more` bytes. 0; -errno: there is no thread. */
int fetch_begin(struct request *r, int fd, uint64_t off, size_t n, uint64_t more);

/* Is it the disk that the connection waits for, before it can send more? */
static inline bool fetch_holds(const struct conn *c)
{
    return c->first && c->first->fetch;
}

/* Does the thread still read, or wait for its turn? */
bool fetch_runs(const struct request *r);

/* The request has one that runs no more: bytes, 0 at the end, or -errno. */
ssize_t fetch_take(const struct request *r, const char **data);
void fetch_end(struct request *r);

/* Nobody waits for it any more. It is gone, if it has not begun or has ended; else r->fetch stays. */
void fetch_drop(struct request *r);

#endif
