/* Whether a page is in memory is asked with preadv2(RWF_NOWAIT) of a byte: mincore needs a mapping, and tells who does not own the
 * file nothing. The last byte of each stride stands for it, and the first one of what is long: the kernel reads ahead in runs,
 * and gives pages back from the start. File systems that do not know RWF_NOWAIT are those that live in memory, which never
 * wait, overlay, which is asked through a mapping, and those that may always do (network, FUSE): which one it is is asked once for
 * each device, on the thread. */
#include "serve/fetch.h"

#include "base/mem.h"
#include "module/host.h"
#include "serve/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define STRIDE  ((size_t)256 * 1024)
#define SHORT   ((size_t)128 * 1024) /* one read-ahead of the kernel: one look is enough */
#define AHEAD   ((uint64_t)1024 * 1024)
#define DEVICES 16

#define MAPPED_PAGES 256 /* that one mapping is asked for */

enum device_kind {
    DEVICE_UNKNOWN,
    DEVICE_MEMORY, /* never waits */
    DEVICE_MAPPED, /* a mapping tells */
    DEVICE_SLOW
};

struct device {
    uint32_t major, minor;
    enum device_kind kind;
};

struct fetch {
    struct pool_job job;
    struct request *request;
    int fd;
    uint64_t off;
    size_t n;
    uint64_t more;
    struct device device; /* kind: what the thread has found out */
    struct list turn;     /* in `waiting` */
    bool counted;         /* it has one of the places */
    bool finished;
    char *data;
    ssize_t got;
};

/* Those that do not know RWF_NOWAIT. The oldest goes when there are too many. */
static struct device devices[DEVICES];
static unsigned last_device;

/* Those that wait for a place, the first first, and how many have one: whoever has may have a buffer. There are enough for threads to go
 * on while the loop sends what the last ones have read. */
static struct list waiting = {&waiting, &waiting};
static unsigned places;

/* ---- Is it in memory? ---- */

/* Does not ask the disk, or a server behind it. */
static bool device_of(int fd, struct device *d)
{
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
        return false;
    *d = (struct device){st.stx_dev_major, st.stx_dev_minor, DEVICE_UNKNOWN};
    return true;
}

static struct device *find_device(const struct device *d)
{
    for (size_t i = 0; i < DEVICES; i++)
        if (devices[i].kind && devices[i].major == d->major && devices[i].minor == d->minor)
            return &devices[i];
    return NULL;
}

static void learn(const struct device *d)
{
    if (d->kind && !find_device(d))
        devices[last_device++ % DEVICES] = *d;
}

static enum device_kind kind_known(int fd)
{
    struct device d;
    const struct device *known = device_of(fd, &d) ? find_device(&d) : NULL;
    return known ? known->kind : DEVICE_UNKNOWN;
}

/* How many of the n bytes from off on are there before the first page that is not. To who does not own the file, and may not write
 * it, the kernel says that all of them are: it is then sent as if there were no slow disks. */
static size_t mapped_warm(int fd, uint64_t off, size_t n)
{
    unsigned char there[MAPPED_PAGES];
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), before = off % page;
    const size_t most = MAPPED_PAGES * page - before, len = before + (n < most ? n : most);
    size_t pages = 0;
    char *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)(off - before));
    if (map == MAP_FAILED)
        return 0;
    if (mincore(map, len, there) == 0)
        while (pages * page < len && there[pages] & 1)
            pages++;
    munmap(map, len);
    return pages * page >= len ? len - before : pages ? pages * page - before : 0;
}

static bool may_read(int fd, uint64_t off, size_t n)
{
    const enum device_kind kind = kind_known(fd);
    return kind == DEVICE_MEMORY || (kind == DEVICE_MAPPED && mapped_warm(fd, off, n) == n);
}

ssize_t fetch_read_warm(int fd, uint64_t off, char *room, size_t n)
{
    const struct iovec v = {room, n};
    ssize_t got;
    do
        got = preadv2(fd, &v, 1, (off_t)off, RWF_NOWAIT);
    while (got < 0 && errno == EINTR);
    if (got >= 0)
        return got;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    if (!may_read(fd, off, n))
        return -EAGAIN;
    got = preadv(fd, &v, 1, (off_t)off);
    return got < 0 ? -errno : got;
}

static bool is_warm(int fd, uint64_t at)
{
    char byte;
    return fetch_read_warm(fd, at, &byte, 1) != -EAGAIN;
}

size_t fetch_warm(int fd, uint64_t off, size_t n)
{
    size_t warm = 0;
    if (n > SHORT && !is_warm(fd, off))
        return kind_known(fd) == DEVICE_MAPPED ? mapped_warm(fd, off, n) : 0;
    while (warm < n) {
        const size_t step = n - warm < STRIDE ? n - warm : STRIDE;
        if (!is_warm(fd, off + warm + step - 1))
            break;
        warm += step;
    }
    return warm;
}

/* ---- On the thread ---- */

static enum device_kind kind_of(int fd)
{
    struct statfs s;
    if (fstatfs(fd, &s) < 0)
        return DEVICE_SLOW;
    const unsigned long type = (unsigned long)s.f_type & 0xffffffffu;
    if (type == OVERLAYFS_SUPER_MAGIC)
        return DEVICE_MAPPED;
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC ? DEVICE_MEMORY
                                                                                 : DEVICE_SLOW;
}

static void on_work(struct pool_job *job)
{
    struct fetch *f = CONTAINER_OF(job, struct fetch, job);
    f->got = -ENOMEM;
    f->data = malloc(f->n);
    if (!f->data)
        return;
    do
        f->got = pread(f->fd, f->data, f->n, (off_t)f->off);
    while (f->got < 0 && errno == EINTR);
    if (f->got < 0)
        f->got = errno == EAGAIN ? -EIO : -errno;
    if (f->device.kind == DEVICE_UNKNOWN)
        f->device.kind = kind_of(f->fd);
    /* Only begins to read: so the next bytes come while these are being sent. */
    if (f->got > 0 && f->more)
        posix_fadvise(f->fd, (off_t)(f->off + (uint64_t)f->got),
                      (off_t)(f->more < AHEAD ? f->more : AHEAD), POSIX_FADV_WILLNEED);
}

/* ---- On the loop ---- */

static int start(struct fetch *f)
{
    const int rc = pool_add(&host_here()->disk, &f->job);
    f->counted = rc == 0;
    places += f->counted;
    return rc;
}

static bool is_full(void)
{
    return places >= 2 * host_here()->disk.max_threads;
}

/* What cannot be read any more ends its answer, when its connection comes to it. */
static void start_next(void)
{
    struct list *node;
    while ((node = list_first(&waiting)) && !is_full()) {
        struct fetch *f = CONTAINER_OF(node, struct fetch, turn);
        list_remove(&f->turn);
        const int rc = start(f); /* a thread may have f->got from here on */
        if (rc == 0)
            continue;
        f->got = rc == -EAGAIN ? -ECANCELED : rc; /* -EAGAIN would be: not yet */
        f->finished = true;
        conn_wake(f->request->conn);
    }
}

/* A filter that wants no more leaves it: there would be no place for others until its answer has left. */
static void on_over(struct pool_job *job, bool ran)
{
    struct fetch *f = CONTAINER_OF(job, struct fetch, job);
    struct request *r = f->request;
    MAGIC_CHECK(r, REQUEST_MAGIC);
    learn(&f->device);
    f->finished = true;
    if (!ran)
        f->got = -ECANCELED;
    if (r->ended) {
        fetch_end(r);
        request_drop_body(r);
        request_let_go(r);
        return;
    }
    conn_wake(r->conn);
    if (!r->filter)
        return;
    filter_drained(r);
    if (r->fetch && r->fetch->finished)
        fetch_end(r);
}

int fetch_begin(struct request *r, int fd, uint64_t off, size_t n, uint64_t more)
{
    struct fetch *f = mem_alloc(sizeof *f);
    *f = (struct fetch){
        .job = {.work = on_work, .over = on_over, .always = true},
        .request = r,
        .fd = fd,
        .off = off,
        .n = n < FETCH_MOST ? n : FETCH_MOST,
        .more = more,
    };
    const struct device *known = device_of(fd, &f->device) ? find_device(&f->device) : NULL;
    if (known)
        f->device.kind = known->kind;
    int rc = 0;
    if (is_full())
        list_add_tail(&waiting, &f->turn);
    else
        rc = start(f);
    if (rc < 0) {
        free(f);
        return rc;
    }
    r->fetch = f;
    serve_count_one(r->serve, IPC_DISK_READS);
    return 0;
}

bool fetch_runs(const struct request *r)
{
    return r->fetch && !r->fetch->finished;
}

ssize_t fetch_take(const struct request *r, const char **data)
{
    *data = r->fetch->data;
    return r->fetch->got;
}

void fetch_end(struct request *r)
{
    const bool counted = r->fetch->counted;
    free(r->fetch->data);
    free(r->fetch);
    r->fetch = NULL;
    places -= counted;
    if (counted)
        start_next();
}

/* Its work does not run, and will not. */
static bool take_back(struct fetch *f)
{
    if (f->counted || f->finished)
        return f->finished || pool_remove(&host_here()->disk, &f->job);
    list_remove(&f->turn);
    return true;
}

void fetch_drop(struct request *r)
{
    if (r->fetch && take_back(r->fetch))
        fetch_end(r);
}
