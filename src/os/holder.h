/* holder.h - who listens on a TCP port, for those who find it taken. */
#ifndef OS_HOLDER_H
#define OS_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* In words: "pid 4711, nginx: master process", and how many more. False when nobody can be seen: without being root,
 * only processes of one's own user can, and only those in the same container. Reads all of /proc: not for every day. */
bool holder_of_port(unsigned port, char *out, size_t n);

#endif
