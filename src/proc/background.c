/* background.c - see background.h. */
#include "proc/background.h"

#include "base/log.h"
#include "os/child.h"
#include "os/fd.h"
#include "proc/code.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int outcome(int fd, pid_t pid)
{
    char code = 0;
    int status;
    ssize_t n;

    do {
        n = read(fd, &code, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1 && code != 0)
        fprintf(stderr, "cserver: it runs (pid %d), but no worker starts; see its error log\n",
                (int)pid);
    if (n == 1)
        return code;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return CODE_FAILED;
    if (WEXITSTATUS(status) == CODE_ROLLED_BACK)
        fprintf(stderr, "cserver: its workers did not answer as [reload] probe wants it: nothing "
                        "was started; see its error log\n");
    return WEXITSTATUS(status);
}

int background_go(void)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        fatal(CODE_FAILED, "cannot go to the background: %s", strerror(errno));
    fflush(NULL);
    pid = child_fork(0);
    if (pid < 0)
        fatal(CODE_FAILED, "cannot go to the background: %s", strerror(-pid));
    if (pid > 0) {
        close(ends[1]);
        exit(outcome(ends[0], pid));
    }
    close(ends[0]);
    setsid();
    return ends[1];
}

void background_tell(int *release, int code)
{
    char byte = (char)code;
    ssize_t n;

    if (*release < 0)
        return;
    n = write(*release, &byte, 1);
    (void)n;
    fd_close(release);
}

void background_detach(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int i = 0; fd >= 0 && i <= STDERR_FILENO; i++)
        dup2(fd, i);
    fd_close(&fd);
}
