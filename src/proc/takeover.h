/* takeover.h - the new master's side of an upgrade (upgrade.h says what goes on between the two): it was started by a running
 * one, has its sockets, and takes its place when all workers are ready. Until then nothing of it accepts, and the control
 * socket, the pid file and the files of unix sockets are the other's. */
#ifndef PROC_TAKEOVER_H
#define PROC_TAKEOVER_H

#include "event/loop.h"
#include "proc/listen.h"

#include <sys/types.h>

struct takeover {
    pid_t from;         /* the running master; 0: we were started otherwise */
    bool pending;       /* it is still that one which serves */
    bool ready;         /* our workers are */
    bool alone;         /* that one has let go of everything; it may still drain */
    bool asked;         /* it has to say that it has opened its logs again */
    struct timer limit; /* for its end, when we stop */
    int errors;         /* what is to be our standard error */
    struct loop_io channel;
    struct listen_set listens; /* what it listens on; until we have taken over */
};

struct master;
struct worker;

/* First of all: did a running master start us? Ends the process where that cannot be understood. */
void takeover_init(struct master *m);
/* How many workers must have room, so that every socket that listens has one. */
unsigned takeover_width(const struct master *m);
/* The settings are good, the sockets open: our standard error becomes that of the running master. */
void takeover_begin(struct master *m);
/* Now that there is a loop. */
void takeover_prepare(struct master *m);
void takeover_watch(struct master *m);
/* What goes on with us, for who waits there. Nothing when there is nobody. */
void takeover_say(struct master *m, const char *step);
/* All our workers are ready. */
void takeover_ready(struct master *m);
/* It comes to nothing: tells why, and stops. */
void takeover_fail(struct master *m, int code, const char *why);
/* The other one has not ended yet. */
bool takeover_drains(const struct master *m);
/* We stop: it does too, and we wait for it. how: enum master_stop. */
void takeover_stop(struct master *m, int how);
/* Logs: it opens its own. */
void takeover_reopen(struct master *m);
/* There may still be another primary. */
bool takeover_shares(const struct master *m);
/* In a child: closes descriptors, touches nothing else. */
void takeover_shed(struct master *m);
void takeover_free(struct master *m);

#endif
