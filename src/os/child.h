/* child.h - processes: forking, waiting, titles, identity. -errno on failure. */
#ifndef OS_CHILD_H
#define OS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Forks. In the child: dies with the parent (PR_SET_PDEATHSIG with `deathsig`, 0 = none; if the
 * parent is already gone the child exits at once). Returns the pid, 0 in the child. */
pid_t child_fork(int deathsig);

struct child_end {
    pid_t pid;
    int status; /* as waitpid gives it */
};
/* A child that has ended, and keeps its pid until child_reap: nobody else can get it meanwhile. False when there is
 * none. */
bool child_peek(struct child_end *end);
void child_reap(pid_t pid);
/* "exited with status 3" / "killed by SIGSEGV (core dumped)". */
void child_end_text(int status, char *out, size_t n);

/* Process titles: call title_init first in main; it may move environ. */
void child_title_init(int argc, char **argv);
void child_title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Looks up a user; -ENOENT if unknown. */
int child_user_find(const char *name, uid_t *uid, gid_t *gid);
/* Drops from root to that user with its groups, for good; checks that there is no way back. The
 * deathsig of child_fork stays in force, and core files are written as before. Nothing happens where
 * the process is that user already. */
int child_user_become(const char *name, uid_t uid, gid_t gid);

/* CPUs of the affinity mask, at least 1. */
int child_cpu_count(void);
/* Start time of a process in clock ticks since boot (/proc/PID/stat), to tell a pid from its reuse;
 * 0 if gone. */
uint64_t child_start_time(pid_t pid);
/* A descriptor that becomes readable when the process ends (pidfd_open); -ENOSYS on old kernels. */
int child_pidfd(pid_t pid);

#endif
