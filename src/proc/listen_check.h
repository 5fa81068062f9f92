/* listen_check.h - would new settings get their listening sockets? Asked by -t and by the probe of a reload. */
#ifndef PROC_LISTEN_CHECK_H
#define PROC_LISTEN_CHECK_H

#include "proc/listen.h"

/* What a test knows about addresses that are in use. */
struct listen_owned {
    const struct listen_set *set;       /* what the running server has; may be NULL */
    const struct listen_set *inherited; /* may be NULL */
    bool unsure; /* a server is there and may not be asked: an address in use is a warning */
    bool
        outside; /* this is not how the server will be started: nobody can say what it will inherit */
    int patience_ms;
};

/* Would listen_open work? Opens and closes TCP addresses; makes no socket file. Warns of inherited sockets that nobody
 * asks for. */
void listen_check(struct settings *s, const struct listen_owned *owned);

#endif
