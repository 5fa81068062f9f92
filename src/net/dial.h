/* dial.h - a connection to one of several addresses (RFC 8305, section 5). They are tried in order; the next one begins when
 * one has failed, or after DIAL_NEXT_MS without an answer, while the others go on. The first that stands wins, the
 * others are closed.
 *
 * A dial is one object on the heap that frees itself before it tells how it ended, from the loop, once, never inside a call. */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "net/names.h"

#define DIAL_NEXT_MS  250
#define DIAL_WHY_SIZE 160

struct dial;

struct dial_end {
    int fd; /* connected, non-blocking, close-on-exec, TCP_NODELAY: the caller's now; -1: there is none */
    bool late; /* because the time was over */
    const char *
        why; /* each address in the order in which it failed: "10.0.0.1:80: Connection refused; [::1]:80: no answer".
                      * What is too long is cut. Valid during the call */
};

/* v: copied. n 1..NAMES_ADDRESSES. due: the moment (clock_ms) until which one has to stand; 0: the kernel gives up
 * some time. */
struct dial *dial_new(struct loop *loop, const struct names_address *v, unsigned n, uint64_t due,
                      void (*on_end)(void *whose, const struct dial_end *end), void *whose);
/* It is wanted no more: on_end does not come. NULL is allowed. */
void dial_drop(struct dial *d);

#endif
