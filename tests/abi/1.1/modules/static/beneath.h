/* beneath.h - names below an open folder, with the kernel's word that no link has led out of it. */
#ifndef STATIC_BENEATH_H
#define STATIC_BENEATH_H

#include <cserver/cserver.h>

enum {
    BENEATH_NO_LINKS =
        1, /* no symbolic link may be on the way; else those that stay inside are followed */
    BENEATH_NO_WAIT = 2 /* -EAGAIN where that would take a look at the disk */
};

/* Opens the path below the folder. A descriptor or -errno. Where the kernel cannot do that (before 5.6), or a sandbox does not let
 * it, the path is walked, and no link at all is followed. On any thread. */
int beneath_open(int folder, cs_str path, int flags, unsigned how_to);

#endif
