/* leaving.h - another program has taken our place (upgrade.h): LEAVING and LEFT. Our workers stop accepting, who asked is
 * answered when they have, and the primary ends; what is left to us is to drain. */
#ifndef PROC_LEAVING_H
#define PROC_LEAVING_H

struct master;

/* It has said "done": control socket, pid file and sockets belong to it. */
void leaving_begin(struct master *m);
/* Workers, or the primary, have changed their state or have ended. */
void leaving_look(struct master *m);
/* They have had time enough. */
void leaving_late(struct master *m);
/* HUP: who has taken over reloads. */
void leaving_hangup(struct master *m);
/* The logs have been opened again. */
void leaving_reopened(struct master *m);

#endif
