/* holder.c - see holder.h. The kernel tells the inodes of listening sockets in one place, and the sockets of each process
 * in another. */
#include "os/holder.h"

#include "base/str.h"
#include "os/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_SOCKETS 64 /* reuseport may have many */
#define LISTENING    10

struct sockets {
    unsigned long inodes[MOST_SOCKETS];
    size_t n;
};

/* A line: number, local and remote address, state, queues, timer, retransmits, user, timeout, inode. */
static void take_line(const char *line, unsigned port, struct sockets *s)
{
    unsigned local, state;
    unsigned long inode;

    if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*[^ ] %*[^ ] %*[^ ] %*u %*u %lu",
               &local, &state, &inode) == 3 &&
        local == port && state == LISTENING && s->n < MOST_SOCKETS)
        s->inodes[s->n++] = inode;
}

static void find_sockets(const char *table, unsigned port, struct sockets *s)
{
    char line[512];
    FILE *f = fopen(table, "re");

    while (f && fgets(line, sizeof line, f))
        take_line(line, port, s);
    if (f)
        (void)fclose(f);
}

static bool is_one(int dir, const char *name, const struct sockets *s)
{
    char target[64];
    unsigned long inode;
    ssize_t n = readlinkat(dir, name, target, sizeof target - 1);

    target[n > 0 ? n : 0] = '\0';
    if (sscanf(target, "socket:[%lu]", &inode) != 1)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (s->inodes[i] == inode)
            return true;
    return false;
}

static bool has_one(const char *pid, const struct sockets *s)
{
    char path[64];
    bool found = false;
    const struct dirent *e;

    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    DIR *d = opendir(path);
    while (d && !found && (e = readdir(d)))
        found = is_one(dirfd(d), e->d_name, s);
    if (d)
        closedir(d);
    return found;
}

/* Its command line on one line; titles that a process gives itself are there too. */
static void describe(const char *pid, char *out, size_t n)
{
    char path[64], text[80];
    ssize_t got = 0;

    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        got = read(fd, text, sizeof text - 1);
    fd_close(&fd);
    while (got > 0 && text[got - 1] == '\0')
        got--;
    for (ssize_t i = 0; i < got; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = ' ';
    text[got > 0 ? got : 0] = '\0';
    snprintf(out, n, "pid %.20s%s%s", pid, *text ? ", " : "", text);
}

bool holder_of_port(unsigned port, char *out, size_t n)
{
    struct sockets s = {.n = 0};
    unsigned found = 0;
    const struct dirent *e;

    find_sockets("/proc/self/net/tcp", port, &s);
    find_sockets("/proc/self/net/tcp6", port, &s);
    DIR *d = s.n > 0 ? opendir("/proc") : NULL;
    while (d && (e = readdir(d)))
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && has_one(e->d_name, &s) && ++found == 1)
            describe(e->d_name, out, n);
    if (d)
        closedir(d);
    size_t used = found > 0 ? strlen(out) : 0;
    if (found > 1)
        snprintf(out + used, n - used, " and %u more", found - 1);
    return found > 0;
}
