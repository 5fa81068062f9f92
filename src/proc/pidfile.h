/* pidfile.h - the file that holds the master's pid, for tools that want one. One line with the
 * number and nothing else, since people write kill $(cat file).
 *
 * A file that a dead master left behind is told from a live one's by the process: it is gone, runs
 * another program, or began after the file was written. */
#ifndef PROC_PIDFILE_H
#define PROC_PIDFILE_H

#include <sys/types.h>

enum pidfile_state {
    PIDFILE_NONE,    /* no file, or an empty one */
    PIDFILE_STALE,   /* its process is gone */
    PIDFILE_RUNNING, /* its process is a running server, not this one */
    PIDFILE_FOREIGN  /* something is there that is no pid file: it must not be overwritten */
};

/* *pid: the number in the file, 0 if none. */
enum pidfile_state pidfile_look(const char *path, pid_t *pid);
/* Writes our pid at once. 0 or -errno. */
int pidfile_write(const char *path);
/* Removes it if it is still ours. */
void pidfile_remove(const char *path);

#endif
