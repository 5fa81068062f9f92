/* beneath.h - names below an open folder, with the kernel's word that no link has led out of it. */
#ifndef STATIC_BENEATH_H
#define STATIC_BENEATH_H

#include <cserver/cserver.h>

/* Opens the path below the folder; `links`: may it go over symbolic links that stay inside? A descriptor or -errno; -ENOSYS
 * where the kernel cannot do that (before 5.6). */
int beneath_open(int folder, cs_str path, int flags, _Bool links);

#endif
