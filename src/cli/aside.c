/* aside.c - see aside.h. What the child is doing stands in a page that both see, so a child that dies need not say it. What
 * it has to say comes through a pipe, and counts when its last byte has come. */
#include "cli/aside.h"

#include "base/clock.h"
#include "os/child.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_MS   10000
#define MOST_BYTES (64u << 20)
#define LAST_BYTE  '.'

static char *doing; /* shared */

void aside_doing(const char *what)
{
    if (doing)
        snprintf(doing, sizeof((struct aside *)NULL)->what, "%s", what);
}

static _Noreturn void child_main(void (*work)(void *arg, struct buf *out), void *arg, int fd)
{
    struct buf out = {0};

    dup2(STDERR_FILENO, STDOUT_FILENO);
    work(arg, &out);
    buf_add_char(&out, LAST_BYTE);
    fd_write_all(fd, out.p, out.n);
    _exit(0);
}

/* False at the end of the pipe, when there is too much, or when the time is over. */
static bool take(struct aside *a, int fd, uint64_t until)
{
    uint64_t now = clock_us_now() / 1000;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t n;

    if (now >= until || a->out.n > MOST_BYTES)
        return false;
    if (poll(&ready, 1, (int)(until - now)) <= 0)
        return true;
    n = read(fd, buf_reserve(&a->out, 65536), 65536);
    if (n > 0)
        buf_added(&a->out, (size_t)n);
    return n > 0 || (n < 0 && errno == EINTR);
}

static void judge(struct aside *a, int status, bool late)
{
    bool much = a->out.n > MOST_BYTES;

    a->whole = !much && a->out.n > 0 && a->out.p[a->out.n - 1] == LAST_BYTE;
    if (a->whole)
        a->out.p[--a->out.n] = '\0';
    else
        buf_clear(&a->out);
    if (late)
        snprintf(a->how, sizeof a->how, "did not end within %d s", LIMIT_MS / 1000);
    else if (much)
        snprintf(a->how, sizeof a->how, "had more than %u MB to say", MOST_BYTES >> 20);
    else
        child_end_text(status, a->how, sizeof a->how);
}

static void wait_for_it(struct aside *a, pid_t pid, int fd)
{
    uint64_t until = clock_us_now() / 1000 + LIMIT_MS;
    int status = 0;
    bool late;

    while (take(a, fd, until))
        continue;
    late = clock_us_now() / 1000 >= until;
    if (late || a->out.n > MOST_BYTES)
        kill(pid, SIGKILL); /* it may wait for somebody to read */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    judge(a, status, late);
    memcpy(a->what, doing, sizeof a->what);
}

int aside_run(struct aside *a, void (*work)(void *arg, struct buf *out), void *arg)
{
    size_t n = sizeof a->what;
    int ends[2], rc = 0;
    pid_t pid;

    *a = (struct aside){.whole = false};
    doing = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (doing == MAP_FAILED || pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    fflush(NULL);
    pid = child_fork(SIGKILL);
    if (pid == 0) {
        close(ends[0]);
        child_main(work, arg, ends[1]);
    }
    close(ends[1]);
    if (pid < 0)
        rc = pid;
    else
        wait_for_it(a, pid, ends[0]);
    close(ends[0]);
    munmap(doing, n);
    doing = NULL;
    return rc;
}

void aside_tell(const struct aside *a, struct buf *out)
{
    bool verb = strncmp(a->how, "killed", 6) == 0;

    buf_printf(out, "%s: the process that tried it %s%s", a->what[0] ? a->what : "beginning",
               verb ? "was " : "", a->how);
}

void aside_free(struct aside *a)
{
    buf_free(&a->out);
}
