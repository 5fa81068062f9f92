/* tally.c - loaded into a server with LD_PRELOAD, counts what its processes do to wait and to accept, in the
 * same way for each server.
 *
 * The numbers lie in the file that TALLY names, shared by all processes: one record for each that has called
 * any of these functions, found by its pid (tally.py reads them). A record has one writer: only the main thread
 * of a process counts, which is where the event loop of each of these servers runs. What it costs: a branch and
 * two increments. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RECORDS = 256
};

struct record {
    _Alignas(64) _Atomic int32_t pid;
    uint64_t accepts; /* connections */
    uint64_t empty;   /* EAGAIN */
    uint64_t failed;  /* any other error */
    uint64_t wakeups; /* returns of epoll_wait */
};

enum thread {
    UNKNOWN,
    MAIN,
    OTHER
};

static struct record *records, *mine;
static _Thread_local enum thread thread;

static int (*real_accept)(int, struct sockaddr *, socklen_t *);
static int (*real_accept4)(int, struct sockaddr *, socklen_t *, int);
static int (*real_wait)(int, struct epoll_event *, int, int);
static int (*real_pwait)(int, struct epoll_event *, int, int, const sigset_t *);

static void forget(void)
{
    mine = NULL;
}

static void find(void *function, const char *name)
{
    *(void **)function = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    if (real_pwait)
        return;
    find(&real_accept, "accept");
    find(&real_accept4, "accept4");
    find(&real_wait, "epoll_wait");
    find(&real_pwait, "epoll_pwait");
    pthread_atfork(NULL, NULL, forget);
    const char *path = getenv("TALLY");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *p = mmap(NULL, RECORDS * sizeof *records, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    records = p == MAP_FAILED ? NULL : p;
    close(fd);
}

static void claim(void)
{
    int32_t pid = getpid();
    for (int i = 0; records && i < RECORDS && !mine; i++) {
        int32_t nobody = 0;
        if (atomic_compare_exchange_strong(&records[i].pid, &nobody, pid))
            mine = &records[i];
    }
}

/* The record to count in, or NULL. errno is the caller's. */
static struct record *record(void)
{
    if (thread == UNKNOWN)
        thread = gettid() == getpid() ? MAIN : OTHER;
    if (thread == OTHER)
        return NULL;
    if (!mine) {
        int e = errno;
        claim();
        errno = e;
    }
    return mine;
}

static int count_accept(int fd)
{
    struct record *r = record();
    if (!r)
        return fd;
    if (fd >= 0)
        r->accepts++;
    else if (errno == EAGAIN)
        r->empty++;
    else
        r->failed++;
    return fd;
}

static int count_wakeup(int n)
{
    struct record *r = record();
    if (r)
        r->wakeups++;
    return n;
}

#define SEEN __attribute__((visibility("default")))

SEEN int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict size)
{
    begin();
    return count_accept(real_accept(fd, address, size));
}

SEEN int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict size, int flags)
{
    begin();
    return count_accept(real_accept4(fd, address, size, flags));
}

SEEN int epoll_wait(int fd, struct epoll_event *events, int most, int ms)
{
    begin();
    return count_wakeup(real_wait(fd, events, most, ms));
}

SEEN int epoll_pwait(int fd, struct epoll_event *events, int most, int ms, const sigset_t *mask)
{
    begin();
    return count_wakeup(real_pwait(fd, events, most, ms, mask));
}
