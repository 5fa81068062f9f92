/* linger.h - the end of a connection whose client may still be sending. Closing a socket with unread input resets it, and the reset
 * may overtake the answer: so the client is first told that there is no more, and its input is read until it closes too. One
 * that sends all before it reads our answer gets the time for that, one that drips does not. */
#ifndef SERVE_LINGER_H
#define SERVE_LINGER_H

#include "serve/conn.h"

/* May end it at once. */
void linger_begin(struct conn *c);
/* It has sent something, or the end. */
void linger_hear(struct conn *c);
/* A deadline is over. */
void linger_on(struct conn *c);

#endif
