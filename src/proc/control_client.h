/* control_client.h - the connections to the control socket: lines come in and become calls, one after the other, and lines go
 * out. Whoever answers the calls finds all that he needs in control.h. */
#ifndef PROC_CONTROL_CLIENT_H
#define PROC_CONTROL_CLIENT_H

#include "base/list.h"
#include "proc/control.h"

/* All clients of one socket. */
struct control_clients {
    struct loop *loop;
    struct list list;   /* the one that has been quiet longest first */
    unsigned n;         /* without those that control_keep was called for */
    unsigned nreleased; /* calls that go on without a client */
    control_handler *handler;
    void *arg;
    void (*on_closed)(struct control_clients *all); /* one has gone, its descriptor is free */
};

/* Takes over the descriptor of a new connection: serves it, or refuses it with a sentence. */
void control_client_new(struct control_clients *all, int fd);
/* Closes the one that has been quiet longest, and is not waiting for us. False: all are. */
bool control_client_make_room(struct control_clients *all);
void control_client_drop_all(struct control_clients *all);
/* In a child: closes the descriptors, touches nothing else. */
void control_client_shed(struct control_clients *all);

#endif
