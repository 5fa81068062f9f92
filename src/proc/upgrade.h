/* upgrade.h - another program takes the place of this one while it serves: the file that it was started from is run again,
 * with the same command line, and the new master (takeover.h) gets the listening sockets (handover.h).
 *
 *     IDLE -> STARTING  the new program reads its settings and starts its workers; they do not accept
 *          -> TAKING    "ready" has come, "go" was sent: it takes the control socket and the pid file
 *          -> LEAVING   "done" has come: our workers stop accepting
 *          -> LEFT      "left" was sent: nobody here accepts, and there is no primary; workers drain, we end
 *
 *     STARTING, TAKING --it fails, or time is over--> ENDING  it is told to end, then killed
 *                                             ended --> IDLE  control socket and pid file are ours again
 *
 * Before "go" the new one changes nothing that anybody could notice. Who asked is answered when nobody here accepts any
 * more, or when the new one has gone.
 *
 * What is said on the channel (a message is a word and what belongs to it):
 *     from the new one   progress TEXT | ready VERSION | done | failed CODE TEXT | exec ERRNO
 *     to the new one     reopen | go | main (systemd has been told) | left | reopened | (closed: we have ended)
 *     and from it later  stop HOW | reopen
 *
 * So the two end together when the new one is stopped, which waits for us, and open their logs together. When it dies, we
 * have as much time as its workers. */
#ifndef PROC_UPGRADE_H
#define PROC_UPGRADE_H

#include "base/json.h"
#include "event/loop.h"
#include "proc/control.h"
#include "proc/newcomer.h"

enum upgrade_state {
    UPGRADE_IDLE,
    UPGRADE_STARTING,
    UPGRADE_TAKING,
    UPGRADE_ENDING,
    UPGRADE_LEAVING,
    UPGRADE_LEFT
};

struct upgrade {
    enum upgrade_state state;
    char *program; /* that we were started from */
    char **argv;
    struct newcomer newcomer;
    struct timer limit;
    struct control_call *call; /* who asked; NULL: a signal */
    bool settled;              /* has been answered */
    int code;                  /* why it is ended; 0 = that is not known yet */
    char why[HANDOVER_MESSAGE];
    char version[64];
    /* The last one that ended. */
    bool any;
    int last_code;
    uint64_t at_wall_us;
    char message[HANDOVER_MESSAGE + 128];
};

struct master;
struct generation;

/* First of all, in the folder that we were started in. argv: of the process, as it came; it stays. */
void upgrade_note(struct master *m, char **argv);
void upgrade_init(struct master *m);
void upgrade_free(struct master *m);
/* A NULL call: a signal asked. */
void upgrade_request(struct master *m, struct control_call *call);
/* From the start of the new program until it has taken over or has gone. */
bool upgrade_is_under_way(const struct master *m);
/* Another master has taken our place: we only end. */
bool upgrade_has_left(const struct master *m);
/* Was it the new master that ended? */
bool upgrade_reaped(struct master *m, pid_t pid, int status);
/* The server is to stop: the new program goes too. */
void upgrade_cancel(struct master *m, const char *why);
/* In a child: closes descriptors, touches nothing else. */
void upgrade_shed(struct master *m);
/* Logs: a new program that is about to take over opens its own again. */
void upgrade_reopen(struct master *m);
/* It has ended, with that code (CODE_...): log, status and who asked are told. For leaving.c. */
void upgrade_finish(struct master *m, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* We are what another master was upgraded to. */
void upgrade_arrived(struct master *m);
/* For a status. */
void upgrade_put(const struct master *m, struct json *j);

#endif
