/* background.h - cserver -D: the process that was started waits until the server serves, or does not, and ends with that
 * status; the server is its child. */
#ifndef PROC_BACKGROUND_H
#define PROC_BACKGROUND_H

/* Returns in the child alone, with the descriptor for background_tell. What does not work ends the process. */
int background_go(void);
/* How the start went: an exit status. Once; -1: nobody waits. */
void background_tell(int *release, int code);
/* The standard descriptors go nowhere from now on. */
void background_detach(void);

#endif
