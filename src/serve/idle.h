/* idle.h - connections that wait for a next request: serve->idle, the one that waits longest first. */
#ifndef SERVE_IDLE_H
#define SERVE_IDLE_H

#include "serve/conn.h"

/* Nothing of a next request has come. Its buffer goes, its limit begins. */
void idle_enter(struct conn *c);
/* Something has come, or it ends. */
void idle_leave(struct conn *c);

#define IDLE_LEAVE_MS                                                                              \
    1000 /* so long who has nothing under way is waited for when the server stops */
/* It is idle, and the server stops: it has a moment yet for a request that is on its way. */
void idle_hurry(struct conn *c);

#endif
