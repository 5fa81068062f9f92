/* find.h - from a path to an opened file, through the cache of this worker. */
#ifndef STATIC_FIND_H
#define STATIC_FIND_H

#include "conf.h"
#include "file.h"

#include <errno.h>

enum {
    PATH_MOST = 4096
};

enum {
    FIND_WAITS =
        -10001 /* beside all of errno: a thread looks, and the request is called again then */
};

/* Before all else: 0 or -ENOMEM. `files`: most that are kept, 0 = none; `small`: up to this size they are kept in memory. p, resume:
 * as for lookup_init; NULL: all is looked for here and now. */
int find_init(int64_t files, int64_t small, cs_proc *p, void (*resume)(cs_req *r));
_Bool find_is_ready(void);

/* In the cache, and looked at lately: no system call. NULL, or a file whose reference stays with the cache. */
struct file *find_fresh(const struct conf *c, uint16_t root, cs_str path);
/* From the cache or the disk, with a reference for the caller. 0, -errno as
 * file_load, or FIND_WAITS. */
int find_file(cs_req *r, const struct conf *c, cs_str path, struct file **out);
/* Is it a folder? -EISDIR; else another -errno, or FIND_WAITS. */
int find_folder(cs_req *r, const struct conf *c, cs_str path);

/* Is there nothing of that name, as far as a client may know? A link that leads out of the root
 * (EXDEV, or ELOOP on old kernels) is not there either. */
static inline int find_is_missing(int rc)
{
    return rc == -ENOENT || rc == -ENOTDIR || rc == -ENAMETOOLONG || rc == -ELOOP || rc == -EXDEV ||
           rc == -EINVAL;
}

/* ... or something that is no file for clients. All else says that it is not known now. */
static inline int find_is_no_file(int rc)
{
    return find_is_missing(rc) || rc == -EISDIR || rc == -EACCES || rc == -EPERM;
}

/* How many files have been opened or read anew. */
extern cs_counter *find_loads;

#endif
