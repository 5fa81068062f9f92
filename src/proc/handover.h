/* handover.h - what a running master gives to the program that is to take its place (upgrade.h): descriptors by their
 * numbers, and what they are, as text in a memfd that the environment names. Text, because the two programs may be
 * of different versions: lines with words that a version does not know are left out. */
#ifndef PROC_HANDOVER_H
#define PROC_HANDOVER_H

#include "proc/listen.h"

#define HANDOVER_ENV     "CSERVER_UPGRADE"
#define HANDOVER_MESSAGE 1024 /* the longest on the channel */

struct handover {
    int from;    /* pid of the master that gives */
    int channel; /* SOCK_SEQPACKET to it */
    int errors;  /* its own standard error. Ours is read by it until we run */
    /* What it listens on (asked, fds, nlistening, file, given, name; the rest is for listen_open), and what systemd has passed
     * to it. */
    struct listen_set listens, inherited;
};

/* As text. */
void handover_print(const struct handover *h, struct buf *out);
/* False where something is missing or cannot be read; *out is empty then. The descriptors are not looked at. */
bool handover_parse(cs_str text, struct handover *out);
void handover_free(struct handover *h);

/* The giving side, in the child that becomes the new program: descriptors stay open over the exec, and the environment names
 * the memfd. 0 or -errno. */
int handover_give(const struct handover *h);
/* The taking side: 0, -ENOENT where nobody gives anything, -EINVAL where it cannot be understood. The environment is cleaned,
 * descriptors are close-on-exec. */
int handover_take(struct handover *out);

#endif
