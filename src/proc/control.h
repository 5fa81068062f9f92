/* control.h - the control socket: a unix stream socket on which the command line, and whoever may,
 * talks to the master.
 *
 * A request is one line: a word, and perhaps a JSON object behind it. An answer is one line with a
 * JSON object that has "ok"; before it there may be other lines, such as those with "progress".
 * Requests of one connection are worked off one after the other. Nothing that a client does or leaves undone holds
 * the master up: everything is non-blocking and bounded. Only root and the server's own user get an
 * answer. */
#ifndef PROC_CONTROL_H
#define PROC_CONTROL_H

#include "base/buf.h"
#include "event/loop.h"

#define CONTROL_CLIENTS  16
#define CONTROL_RELEASED 16
#define CONTROL_LINE     98304 /* the longest message of the mailbox, in base64, has room */
#define CONTROL_IDLE_MS  10000
#define CONTROL_OUT      (4u << 20) /* what may wait for a client that does not read */

struct control;
struct control_client;
struct control_clients;

/* A request that has not been answered yet. Its client may have gone meanwhile. */
struct control_call {
    struct list node; /* for whoever keeps it waiting */
    struct control_client *client;
    int pid; /* who asks; 0 where that cannot be told */
    unsigned uid;
    struct control_clients *released; /* it counts among those */
    bool kept;
    bool drained; /* reload: the answer waits until old workers have gone */
    bool fresh;   /* reload: with new workers in any case */
    void *keeper; /* for whoever keeps it */
    /* NULL, or set by whoever keeps it: from the loop, never inside one of the calls below. */
    void (*on_gone)(
        struct control_call *call); /* the client has gone: answer it, to be rid of it */
    void (*on_sent)(struct control_call *call); /* the client has caught up with its lines */
};

/* `line` is valid during the call only. Must end in one control_answer, now or later. */
typedef void control_handler(void *arg, struct control_call *call, cs_str line);

/* Listens on path (made with its folder, mode 0660). 0 or -errno: -EADDRINUSE when a server answers
 * there. */
int control_new(struct control **out, struct loop *loop, const char *path, control_handler *handler,
                void *arg);
/* The same, and takes the path from the server that has it: at no moment does it lead nowhere. */
int control_take(struct control **out, struct loop *loop, const char *path,
                 control_handler *handler, void *arg);
/* Somebody else may have taken the path, and has gone: it leads to us again. 0 or -errno. */
int control_reclaim(struct control *c);
/* Sends what it can, closes all, removes the socket file where it is still ours. */
void control_free(struct control *c);
/* In a child: closes the descriptors, touches nothing else. */
void control_shed(struct control *c);

/* ---- Calls (control_client.c) ---- */

/* {"progress":"..."} */
void control_progress(struct control_call *call, const char *text);
/* One line, a JSON object, before the answer. */
void control_line(struct control_call *call, cs_str json);
/* Bytes of such lines that the client has not taken yet; it is cut off when they are CONTROL_OUT. */
size_t control_backlog(const struct control_call *call);
/* This call may last: it does not count among CONTROL_CLIENTS any longer, so that it keeps nobody
 * out. Who keeps calls bounds their number. */
void control_keep(struct control_call *call);
/* Answers now, though the work has only begun: the call goes on without a client, and still has to end in control_answer.
 * False, and nothing is done: there are CONTROL_RELEASED such calls already. */
bool control_release(struct control_call *call, cs_str json);
/* Sends the answer, one JSON object without a line break, and frees the call. */
void control_answer(struct control_call *call, cs_str json);

#endif
