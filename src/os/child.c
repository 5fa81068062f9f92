/* child.c - what a process is: who its parent is, what it is called, whose it is, where it may run.
 */
#include "os/child.h"

#include "base/mem.h"
#include "os/fd.h"
#include "os/sig.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel forgets a death signal when the owner changes, and never sends one for a parent that
 * was gone when it was set: so set, then look. */
static void die_with(pid_t parent, int deathsig)
{
    prctl(PR_SET_PDEATHSIG, (unsigned long)deathsig, 0, 0, 0);
    if (getppid() != parent)
        _exit(0);
}

pid_t child_fork(int deathsig)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0 && deathsig)
        die_with(parent, deathsig);
    return pid;
}

static int status_of(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return info->si_status << 8;
    return info->si_status | (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

bool child_peek(struct child_end *end)
{
    siginfo_t info = {0};
    int rc;

    do {
        rc = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0 || info.si_pid == 0)
        return false;
    *end = (struct child_end){.pid = info.si_pid, .status = status_of(&info)};
    return true;
}

void child_reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

void child_end_text(int status, char *out, size_t n)
{
    if (WIFEXITED(status)) {
        snprintf(out, n, "exited with status %d", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        snprintf(out, n, "killed by %s%s", sig_name(WTERMSIG(status)),
                 WCOREDUMP(status) ? " (core dumped)" : "");
    } else {
        snprintf(out, n, "ended with wait status 0x%x", (unsigned)status);
    }
}

/* The kernel shows the memory that once held argv and, behind it, environ: both move to the heap,
 * and titles are written over the originals. */
static struct {
    char *p;
    size_t n;
    char *copies; /* where the strings live now */
    char **env;
} title;

/* End of the stretch of strings that follow `end` without a gap. */
static char *stretch(char *end, char *const *strings)
{
    for (size_t i = 0; strings[i]; i++)
        if (strings[i] == end)
            end += strlen(end) + 1;
    return end;
}

static char *move_string(char **to, const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = memcpy(*to, s, n);
    *to += n;
    return copy;
}

static size_t bytes_of(char *const *strings)
{
    size_t n = 0;
    for (size_t i = 0; strings[i]; i++)
        n += strlen(strings[i]) + 1;
    return n;
}

void child_title_init(int argc, char **argv)
{
    size_t nenv = 0;
    if (argc < 1 || title.p)
        return;
    while (environ[nenv])
        nenv++;
    char *end = stretch(stretch(argv[0], argv), environ);
    char *to = title.copies = mem_alloc(bytes_of(argv) + bytes_of(environ) + 1);
    title.p = argv[0];
    title.n = (size_t)(end - argv[0]);
    title.env = mem_alloc((nenv + 1) * sizeof(*title.env));
    for (size_t i = 0; i < nenv; i++)
        title.env[i] = move_string(&to, environ[i]);
    for (int i = 0; i < argc; i++)
        argv[i] = move_string(&to, argv[i]);
    environ = title.env;
    program_invocation_name = argv[0];
    char *slash = strrchr(argv[0], '/');
    program_invocation_short_name = slash ? slash + 1 : argv[0];
}

void child_title_set(const char *fmt, ...)
{
    char text[256];
    va_list ap;
    if (!title.p)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    memset(title.p, 0, title.n);
    snprintf(title.p, title.n, "%s", text);
}

int child_user_find(const char *name, uid_t *uid, gid_t *gid)
{
    errno = 0;
    const struct passwd *pw = getpwnam(name);
    if (!pw)
        return errno == 0 || errno == ESRCH ? -ENOENT : -errno;
    *uid = pw->pw_uid;
    *gid = pw->pw_gid;
    return 0;
}

static int drop(const char *name, uid_t uid, gid_t gid)
{
    uid_t r, e, s;
    gid_t rg, eg, sg;
    if (initgroups(name, gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0)
        return -errno;
    bool all = r == uid && e == uid && s == uid && rg == gid && eg == gid && sg == gid;
    if (!all || (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)))
        return -EPERM;
    return 0;
}

int child_user_become(const char *name, uid_t uid, gid_t gid)
{
    int deathsig = 0;
    pid_t parent = getppid();
    if (getuid() == uid && geteuid() == uid && getgid() == gid && getegid() == gid)
        return 0;
    prctl(PR_GET_PDEATHSIG, &deathsig, 0, 0, 0);
    int rc = drop(name, uid, gid);
    if (rc == 0)
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* there are core files of it again */
    if (rc == 0 && deathsig)
        die_with(parent, deathsig);
    return rc;
}

int child_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    /* More CPUs than a cpu_set_t holds. */
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* Field 22; counting starts behind the last ")", since the second field is the program's name and
 * may hold blanks and brackets of its own. */
static uint64_t start_time_of(const char *stat)
{
    const char *p = strrchr(stat, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p + 1, NULL, 10) : 0;
}

uint64_t child_start_time(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    fd_close(&fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    return start_time_of(text);
}

int child_pidfd(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}
