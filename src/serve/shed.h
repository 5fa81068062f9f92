/* shed.h - what happens to connections for which there is no room. */
#ifndef SERVE_SHED_H
#define SERVE_SHED_H

#include "serve/ctx.h"

/* Closes the connection that has idled longest. False: none idles. */
bool shed_idle(struct serve *s);
/* Answers 503 on a connection just accepted, and closes it. */
void shed_newcomer(struct serve *s, int fd);

#endif
