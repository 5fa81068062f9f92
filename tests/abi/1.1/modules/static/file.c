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
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_TRIES = 3,
    SETTLE = 2
};

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

/* Without any link on the way. Kernels without openat2 follow none in cs_root_open. */
static int open_without_links(cs_req *r, cs_str path)
{
    const int root = cs_root_open(r, "/");
    if (root < 0)
        return root;
    const int fd = beneath_open(root, path, O_RDONLY, 0);
    close(root);
    return fd == -ENOSYS ? cs_root_open(r, path) : fd;
}

/* Opens and looks: a descriptor, or -errno. */
static int open_regular(cs_req *r, uint16_t root, cs_str path, struct stat *st)
{
    int fd = root & FILE_NO_LINKS ? open_without_links(r, path) : cs_root_open(r, path);
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
static int64_t read_all(int fd, char *to, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t k = pread(fd, to + got, n - got, (off_t)got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
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
    f->type = cs_mime(path);
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

/* Fills the room behind f from fd. 0; -EAGAIN: the file has changed meanwhile; -errno. */
static int fill(struct file *f, int fd, size_t room)
{
    struct stat after;
    int64_t n = read_all(fd, (char *)(f + 1), room);
    if (n < 0)
        return (int)n;
    f->size = n < f->st.st_size ? n : f->st.st_size;
    f->unsettled = !is_settled(&f->st);
    if (fstat(fd, &after) < 0)
        return -errno;
    return n == f->st.st_size && same_stat(&f->st, &after) ? 0 : -EAGAIN;
}

/* Reads fd, as st describes it, into a new file in memory. */
static int open_small(uint16_t root, cs_str path, int fd, const struct stat *st, struct file **out)
{
    const size_t room = (size_t)st->st_size + 1; /* one more shows that it has grown */
    struct file *f = file_new(root, path, room);
    if (!f)
        return -ENOMEM;
    f->st = *st;
    int rc = fill(f, fd, room);
    f->fleeting = rc == -EAGAIN;
    if (rc < 0 && !f->fleeting) {
        file_unref(f);
        return rc;
    }
    *out = f;
    return rc;
}

static int open_big(uint16_t root, cs_str path, int fd, const struct stat *st, struct file **out)
{
    struct file *f = file_new(root, path, 0);
    if (!f)
        return -ENOMEM;
    f->st = *st;
    f->size = st->st_size;
    f->fd = fd;
    *out = f;
    return 0;
}

int file_open(cs_req *r, uint16_t root, cs_str path, int64_t small, struct file **out)
{
    struct stat st;
    struct file *f = NULL;
    int rc = -EAGAIN;
    for (int i = 0; rc == -EAGAIN && i < READ_TRIES; i++) {
        if (f)
            file_unref(f);
        f = NULL;
        int fd = open_regular(r, root, path, &st);
        if (fd < 0)
            return fd;
        int keep = st.st_size > small;
        rc = keep ? open_big(root, path, fd, &st, &f) : open_small(root, path, fd, &st, &f);
        if (!keep || rc < 0)
            close(fd);
    }
    if (!f)
        return rc;
    if (!f->fleeting)
        set_validators(f);
    f->checked = cs_now_ms();
    *out = f;
    return 0;
}

int file_still(cs_req *r, struct file *f)
{
    struct stat st;
    if (f->unsettled)
        return 0;
    int fd = open_regular(r, f->root, f->path, &st);
    if (fd < 0)
        return 0;
    close(fd);
    if (!same_stat(&st, &f->st))
        return 0;
    f->checked = cs_now_ms();
    return 1;
}

_Bool file_is_whole(const struct file *f)
{
    struct stat st;
    return f->fd < 0 || (fstat(f->fd, &st) == 0 && same_stat(&st, &f->st));
}

void file_unref(void *file)
{
    struct file *f = file;
    if (--f->refs)
        return;
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}
