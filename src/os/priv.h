/* priv.h - what a process may do beyond what its user may: Linux capabilities, and the ways to gain some. -errno on
 * failure. For a process with one thread, right after its fork or start. */
#ifndef OS_PRIV_H
#define OS_PRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* From now on no program that this process or its children run gains anything by being run: set-user-id files and
 * capabilities of files count for nothing. */
int priv_no_new(void);

/* Becomes that user with its groups (name NULL: stays who it is) and gives up every capability, for good: permitted,
 * effective, inheritable, ambient, and where the process may (root), also those that a later program could be given.
 * Then looks whether all that is so: -EPERM if not. Core files and the deathsig of child_fork stay as they were. */
int priv_drop(const char *name, uid_t uid, gid_t gid);

/* Of a process that is not root: gives up all but the right to open ports below 1024, if it has that. It is kept over
 * an exec too. */
int priv_keep_ports(void);

struct priv_sets {
    uint64_t permitted, effective, inheritable;
};
/* Capabilities of this process, one bit each. */
int priv_look(struct priv_sets *out);

#endif
