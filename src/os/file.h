/* file.h - files and folders. -errno on failure, unless said otherwise. */
#ifndef OS_FILE_H
#define OS_FILE_H

#include "base/buf.h"

/* The whole file onto out; -EFBIG above max bytes, -EISDIR for a folder. */
int file_read(const char *path, size_t max, struct buf *out);
/* Writes the file at once: temporary name beside it, then rename. */
int file_write_atomic(const char *path, cs_str content, unsigned mode);
/* A descriptor of a folder (O_DIRECTORY | O_RDONLY | O_CLOEXEC). */
int file_open_dir(const char *path);
/* Opens `path` (relative, no leading "/", not empty: use "." for the folder itself) read-only
 * beneath dirfd: openat2 with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS, so links may point inside,
 * never out (-EXDEV); where the kernel has no openat2, segment by segment with O_NOFOLLOW (a link
 * is then -ELOOP, any ".." is -EXDEV). The descriptor is O_NONBLOCK (a FIFO does not hang) and
 * O_CLOEXEC. `path` need not be NUL-terminated; one with a NUL in it is -EINVAL, an absolute one
 * -EXDEV, an empty one -ENOENT. */
int file_open_beneath(int dirfd, cs_str path);
/* The way without openat2 by itself, for its tests. */
int file_walk_beneath(int dirfd, cs_str path);
/* Opens a log file for append; one that is missing is made, with mode 0640 whatever the umask. A pipe: -ENXIO when
 * nothing reads it; writes do not block. In a folder where everybody may make files no symbolic link is followed (-ELOOP)
 * and nothing of another user is written to (-EPERM); in one that belongs to another user (not root), only links of
 * ours or of root's are followed, and only files of ours, root's or that user's are written to. Not while another thread
 * makes files: the umask is the process's. */
int file_open_log(const char *path);
/* Would file_open_log work, as far as one can tell without opening it? Makes nothing. 0 or -errno. */
int file_check_log(const char *path);
/* Does the path lead to the open file? False too when it leads nowhere; true where that cannot be told. What is no
 * plain file (a pipe, a terminal) is where it was. */
bool file_is_at(int fd, const char *path);
/* Makes the folder that `path` lies in, and those above it; mode 0755 whatever the umask. */
int file_make_parent(const char *path);
/* dir + "/" + path, or path itself when it is absolute; to be freed. */
char *file_join(const char *dir, const char *path);
/* Everything before the last "/", "." if there is none; to be freed. */
char *file_dirname(const char *path);
/* Path of the running program; to be freed. NULL if unknown. */
char *file_self(void);
/* Path that a program was started by, from its argv[0]: as it is written, links and all, so a newer program that has been put
 * there is found. Relative to the current folder, or looked for in PATH; else file_self(). To be freed; NULL if unknown. */
char *file_program(const char *argv0);

#endif
