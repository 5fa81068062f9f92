/* pidfile.c - see pidfile.h. */
#include "proc/pidfile.h"

#include "base/mem.h"
#include "os/child.h"
#include "os/file.h"
#include "os/procstat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Clock ticks are coarse, and the clock may have been set a little: so much later still counts as
 * before. */
#define SLACK_S 2

/* A pipe, or a link of somebody else's, may lie where everybody may make files: neither is read. */
static bool is_plain(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* 0 and *pid, -ENOENT, or -EINVAL when the file holds anything but a number. */
static int read_pid(const char *path, pid_t *pid)
{
    struct buf text = {0};
    uint64_t n = 0;
    int rc = access(path, F_OK) < 0 && errno == ENOENT ? -ENOENT
             : is_plain(path)                          ? file_read(path, 64, &text)
                                                       : -EINVAL;

    *pid = 0;
    if (rc == 0) {
        while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
            text.n--;
        if (text.n > 0 && (!str_to_u64(buf_str(&text), INT32_MAX, &n) || n == 0))
            rc = -EINVAL;
        *pid = (pid_t)n;
    } else if (rc != -ENOENT) {
        rc = -EINVAL;
    }
    buf_free(&text);
    return rc;
}

/* Name of the program that runs as pid, without folders; "" if it cannot be told. */
static void program_of(const char *link, char *out, size_t n)
{
    char path[4096];
    ssize_t len = readlink(link, path, sizeof path - 1);
    const char *name;
    char *gone;

    path[len < 0 ? 0 : len] = '\0';
    gone = strstr(path, " (deleted)");
    if (gone)
        *gone = '\0';
    name = strrchr(path, '/');
    snprintf(out, n, "%.*s", (int)(n - 1), name ? name + 1 : path);
}

/* What a process is called; anybody may read it, also of another user's process. */
static void short_name(const char *path, char *out, size_t n)
{
    FILE *f = fopen(path, "re");

    out[0] = '\0';
    if (f && !fgets(out, (int)n, f))
        out[0] = '\0';
    if (f)
        (void)fclose(f);
}

/* A dead process keeps its name until its parent has asked for it, which some never do. */
static bool has_ended(pid_t pid)
{
    char state = procstat_state(pid);

    return state == 'Z' || state == 'X';
}

static bool same_program(pid_t pid)
{
    char link[64], other[128], own[128];

    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    program_of(link, other, sizeof other);
    program_of("/proc/self/exe", own, sizeof own);
    if (!*other) {
        snprintf(link, sizeof link, "/proc/%d/comm", (int)pid);
        short_name(link, other, sizeof other);
        short_name("/proc/self/comm", own, sizeof own);
    }
    return strcmp(other, own) == 0;
}

/* Has the process begun after the file was written? Then its pid has been used again. */
static bool began_after(pid_t pid, const char *path)
{
    struct stat st;
    struct timespec wall, boot;
    uint64_t ticks = child_start_time(pid);
    time_t began;

    if (ticks == 0)
        return true;
    if (stat(path, &st) != 0 || clock_gettime(CLOCK_REALTIME, &wall) != 0 ||
        clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        return false;
    began = wall.tv_sec - boot.tv_sec + (time_t)(ticks / (uint64_t)sysconf(_SC_CLK_TCK));
    return began > st.st_mtim.tv_sec + SLACK_S;
}

enum pidfile_state pidfile_look(const char *path, pid_t *pid)
{
    int rc = read_pid(path, pid);

    if (rc == -ENOENT)
        return PIDFILE_NONE;
    if (rc < 0)
        return PIDFILE_FOREIGN;
    if (*pid == 0)
        return PIDFILE_NONE;
    if (*pid == getpid() || has_ended(*pid) || !same_program(*pid) || began_after(*pid, path))
        return PIDFILE_STALE;
    return PIDFILE_RUNNING;
}

int pidfile_write(const char *path)
{
    char line[32];
    int n = snprintf(line, sizeof line, "%d\n", (int)getpid());

    return file_write_atomic(path, (cs_str){line, (size_t)n}, 0644);
}

void pidfile_remove(const char *path)
{
    pid_t pid;

    if (read_pid(path, &pid) == 0 && pid == getpid())
        unlink(path);
}
