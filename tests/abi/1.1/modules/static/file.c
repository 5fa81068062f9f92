/* file.c - opening, reading and looking again.
 *
 * A small file is read whole and its length is what was read, so an answer cannot promise other
 * bytes than it has. Size, times and inode are compared before and after: if they moved, somebody
 * was writing, and the reading is done again.
 *
 * The kernel stamps times with a tick of some milliseconds (seconds on some file systems), so two
 * writes in one tick look like one. A file that had been written less than SETTLE seconds before it
 * was read is therefore not believed to be unchanged: it is read again until it has come to rest.
 */
#include "file.h"

#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_TRIES = 3,
    SETTLE = 2,
    LONG_TO_FREE = 1 << 20,
    CHANGED = 2 /* beside FILE_SAME */
};

void (*file_close_slow)(struct file *f);

int path_hidden(cs_str path)
{
    static const char well_known[] = "/.well-known";
    const size_t n = sizeof well_known - 1;
    for (size_t i = 0; i + 1 < path.n; i++) {
        if (path.p[i] != '/' || path.p[i + 1] != '.')
            continue;
        const cs_str rest = {path.p + i, path.n - i};
        if (rest.n < n || memcmp(rest.p, well_known, n) || (rest.n > n && rest.p[n] != '/'))
            return 1;
    }
    return 0;
}

static int same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

/* Opens and looks: a descriptor, or -errno. */
static int open_regular(const struct file_ask *ask, struct stat *st)
{
    const unsigned how_to =
        (ask->root & FILE_NO_LINKS ? BENEATH_NO_LINKS : 0u) | (ask->no_wait ? BENEATH_NO_WAIT : 0u);
    int fd = beneath_open(ask->at, ask->path, O_RDONLY, how_to);
    if (fd < 0)
        return fd;
    int rc = 0;
    if (fstat(fd, st) < 0)
        rc = -errno;
    else if (S_ISDIR(st->st_mode))
        rc = -EISDIR;
    else if (!S_ISREG(st->st_mode))
        rc = -EACCES;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

/* Reads from the start, n bytes or up to the end if that comes first. Length or -errno. */
static int64_t read_all(const struct file_ask *ask, int fd, char *to, size_t n)
{
    const int flags = ask->no_wait && ask->disk != FILE_DISK_MEMORY ? RWF_NOWAIT : 0;
    size_t got = 0;
    while (got < n) {
        const struct iovec v = {to + got, n - got};
        ssize_t k = preadv2(fd, &v, 1, (off_t)got, flags);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return errno == EOPNOTSUPP || errno == ENOSYS ? -EAGAIN : -errno;
        if (k == 0)
            break;
        got += (size_t)k;
    }
    return (int64_t)got;
}

/* A new struct with `room` bytes for content behind it, then the path. */
static struct file *file_new(uint16_t root, cs_str path, size_t room)
{
    struct file *f = malloc(sizeof *f + room + path.n);
    if (!f)
        return NULL;
    memset(f, 0, sizeof *f);
    char *at = (char *)(f + 1);
    f->data = room ? at : NULL;
    memcpy(at + room, path.p, path.n);
    f->path = (cs_str){at + room, path.n};
    f->refs = 1;
    f->root = root;
    f->fd = -1;
    f->hidden = path_hidden(path);
    f->mtime = -1;
    return f;
}

static void set_validators(struct file *f)
{
    const struct timespec *m = &f->st.st_mtim;
    int n = snprintf(f->etag_text, sizeof f->etag_text, "\"%llx-%llx-%llx\"",
                     (unsigned long long)f->st.st_size,
                     (unsigned long long)m->tv_sec * 1000000000u + (unsigned long long)m->tv_nsec,
                     (unsigned long long)f->st.st_ino);
    f->etag = (cs_str){f->etag_text, (size_t)n};
    f->mtime = m->tv_sec;
}

static int is_settled(const struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec - st->st_ctim.tv_sec >= SETTLE;
}

/* Fills the room behind f from fd. 0; CHANGED: the file has, meanwhile; -errno. */
static int fill(const struct file_ask *ask, struct file *f, int fd, size_t room)
{
    struct stat after;
    int64_t n = read_all(ask, fd, (char *)(f + 1), room);
    if (n < 0)
        return (int)n;
    f->size = n < f->st.st_size ? n : f->st.st_size;
    f->unsettled = !is_settled(&f->st);
    if (fstat(fd, &after) < 0)
        return -errno;
    return n == f->st.st_size && same_stat(&f->st, &after) ? 0 : CHANGED;
}

/* Reads fd, as st describes it, into a new file in memory. */
static int open_small(const struct file_ask *ask, int fd, const struct stat *st, struct file **out)
{
    const size_t room = (size_t)st->st_size + 1; /* one more shows that it has grown */
    struct file *f = file_new(ask->root, ask->path, room);
    if (!f)
        return -ENOMEM;
    f->st = *st;
    int rc = fill(ask, f, fd, room);
    f->fleeting = rc == CHANGED;
    if (rc < 0) {
        file_unref(f);
        return rc;
    }
    *out = f;
    return rc;
}

static int open_big(const struct file_ask *ask, int fd, const struct stat *st, struct file **out)
{
    struct file *f = file_new(ask->root, ask->path, 0);
    if (!f)
        return -ENOMEM;
    f->st = *st;
    f->size = st->st_size;
    f->fd = fd;
    f->slow = !ask->no_wait && file_disk(fd) < FILE_DISK_LOCAL;
    *out = f;
    return 0;
}

/* 0, CHANGED (with a file that is good for one answer), FILE_SAME, or -errno. */
static int load_once(const struct file_ask *ask, struct file **out)
{
    struct stat st;
    const int fd = open_regular(ask, &st);
    if (fd < 0)
        return fd;
    if (ask->old && !ask->old->unsettled && same_stat(&st, &ask->old->st)) {
        close(fd);
        return FILE_SAME;
    }
    const int keep = st.st_size > ask->small;
    const int rc = keep ? open_big(ask, fd, &st, out) : open_small(ask, fd, &st, out);
    if (!keep || rc < 0)
        close(fd);
    return rc;
}

int file_load(const struct file_ask *ask, struct file **out)
{
    struct file *f = NULL;
    int rc = CHANGED;
    for (int i = 0; rc == CHANGED && i < READ_TRIES; i++) {
        if (f)
            file_unref(f);
        f = NULL;
        rc = load_once(ask, &f);
    }
    if (!f)
        return rc;
    if (!f->fleeting)
        set_validators(f);
    *out = f;
    return 0;
}

void file_tell(struct file *f, int64_t now)
{
    f->type = cs_mime(f->path);
    f->checked = now;
}

/* What a file server knows of a file may be old for a while; the disk that it is asked for may not answer. */
static int look_without_waiting(const struct file *f, struct stat *st)
{
    struct statx x;
    if (!f->slow)
        return fstat(f->fd, st);
    if (statx(f->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &x) < 0)
        return -1;
    *st = f->st;
    st->st_size = (off_t)x.stx_size;
    st->st_mtim = (struct timespec){x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec};
    return 0;
}

_Bool file_is_whole(const struct file *f)
{
    struct stat st;
    return f->fd < 0 || (look_without_waiting(f, &st) == 0 && same_stat(&st, &f->st));
}

enum file_disk file_disk(int fd)
{
    static const unsigned long local[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                          F2FS_SUPER_MAGIC};
    struct statfs s;
    if (fstatfs(fd, &s) < 0)
        return FILE_DISK_SLOW;
    const unsigned long type = (unsigned long)s.f_type & 0xffffffffu;
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        if (type == local[i])
            return FILE_DISK_LOCAL;
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC ? FILE_DISK_MEMORY : FILE_DISK_SLOW;
}

void file_free(struct file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

/* No name leads to it any more: then closing it takes as long as the disk does to give back all its blocks. */
static _Bool is_last_of(const struct file *f)
{
    struct stat st;
    return f->size >= LONG_TO_FREE && fstat(f->fd, &st) == 0 && st.st_nlink == 0;
}

void file_unref(void *file)
{
    struct file *f = file;
    if (--f->refs)
        return;
    if (file_close_slow && f->fd >= 0 && (f->slow || is_last_of(f)))
        file_close_slow(f);
    else
        file_free(f);
}
