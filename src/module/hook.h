/* hook.h - reading a descriptor that may be older, and so shorter, than ours. */
#ifndef MODULE_HOOK_H
#define MODULE_HOOK_H

#include "base/str.h"

/* The member of the descriptor, NULL where it ends before it. */
#define MODULE_HOOK(desc, member)                                                                  \
    ((desc)->size >= offsetof(cs_module, member) + sizeof((desc)->member) ? (desc)->member : NULL)

#endif
