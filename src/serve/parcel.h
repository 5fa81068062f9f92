/* parcel.h - what goes from a worker to its heir: a stream's connection with all that is to be known of it, and the answer
 * to it. One SOCK_SEQPACKET pair, a message each; the answers come in the order of the parcels.
 *
 * Who has sent a parcel keeps the connection, and leaves it alone, until the answer is there. No answer and the end of the
 * channel means: the other one has not touched it. */
#ifndef SERVE_PARCEL_H
#define SERVE_PARCEL_H

#include "base/str.h"

#include <stdint.h>

#define PARCEL_SAVED 1024 /* most bytes of on_save */
#define PARCEL_MAX   4096

struct parcel {
    uint32_t serial;
    uint64_t mail;   /* host_saved.mail */
    cs_str module;   /* its name */
    cs_str site;     /* labels of its route */
    cs_str route;    /* "": the site's root */
    cs_str listener; /* address, as text */
    cs_str saved;
};

enum parcel_verdict {
    PARCEL_TAKEN = 1, /* it is the heir's */
    PARCEL_FULL,      /* not here, not now: somebody else may */
    PARCEL_LEAVING,   /* this worker is about to end: its successor may */
    PARCEL_UNKNOWN,   /* the new settings have no place for it */
    PARCEL_CLOSED,    /* on_adopt has refused it: it ends */
    PARCEL_GOODBYE    /* no answer to a parcel: this worker ends, and has not died */
};

struct parcel_answer {
    uint32_t serial, verdict;
};

/* 0, -EAGAIN, -E2BIG, another -errno. fd stays the caller's. */
int parcel_send(int sock, const struct parcel *p, int fd);
/* 1: a parcel, whose texts lie in `room`, and *fd; 0: nothing there; -EPROTO; -EPIPE: other side closed. */
int parcel_receive(int sock, struct parcel *p, char room[PARCEL_MAX], int *fd);

/* 0 or -errno. */
int parcel_answer(int sock, struct parcel_answer a);
/* 1, 0 (nothing there), -EPIPE, -EPROTO. */
int parcel_hear(int sock, struct parcel_answer *a);

#endif
