/* sig.h - signals become events: they are blocked and read from a signalfd. Nothing runs in a
 * handler. */
#ifndef OS_SIG_H
#define OS_SIG_H

#include <stdint.h>

/* main's first statement: blocks every signal the processes read (USR1, USR2, HUP, TERM, INT, QUIT,
 * CHLD, WINCH, TTIN, TTOU) and ignores SIGPIPE and SIGXFSZ (a log at the limit of file sizes loses
 * lines). Children inherit it, so no signal can kill one at birth. */
void sig_block_all(void);
/* A signalfd for all of them; -errno on failure. */
int sig_open(void);
/* Next pending signal: its number, with the sender's pid; 0 when there is none. */
int sig_read(int fd, int *pid);
/* Unblocks everything and restores defaults: for children that run other programs. */
void sig_reset(void);
const char *sig_name(int sig); /* "SIGSEGV" */

#endif
