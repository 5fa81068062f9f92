/* shm.c - a memfd needs no name in the file system and goes away with its last process.
 *
 * No mount limits a memfd: the kernel would reserve for a mistyped size until it has to kill
 * processes, any processes. So what cannot be meant is refused before it is asked for. */
#include "os/shm.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* Half of the machine's memory. */
static size_t most(void)
{
    struct sysinfo info;
    if (sysinfo(&info) < 0)
        return 0;
    return (size_t)info.totalram / 2 * info.mem_unit;
}

/* RLIMIT_FSIZE is for files, and a memfd counts as one; this does not. It has no name in /proc/PID/maps. */
static void *map_without_file(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || madvise(p, n, MADV_POPULATE_WRITE) == 0 || errno == EINVAL)
        return p;
    int error = errno;
    munmap(p, n);
    errno = error;
    return MAP_FAILED;
}

void *shm_new(size_t n, const char *name)
{
    if (n > most()) {
        errno = ENOMEM;
        return NULL;
    }
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *p = MAP_FAILED;
    if (ftruncate(fd, (off_t)n) == 0 && fallocate(fd, 0, 0, (off_t)n) == 0)
        p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    else if (errno == EFBIG)
        p = map_without_file(n);
    fd_close(&fd);
    return p == MAP_FAILED ? NULL : p;
}

void shm_free(void *p, size_t n)
{
    if (p)
        munmap(p, n);
}
