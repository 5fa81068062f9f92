/* sig.c - no handlers: signals wait in the kernel until the loop reads them. */
#include "os/sig.h"

#include "base/check.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int read_ones[] = {SIGUSR1, SIGUSR2, SIGHUP,   SIGTERM, SIGINT,
                                SIGQUIT, SIGCHLD, SIGWINCH, SIGTTIN, SIGTTOU};

static sigset_t read_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(read_ones); i++)
        sigaddset(&set, read_ones[i]);
    return set;
}

/* Blocked first, so that none slips in between. Whoever started us may have left some ignored (a
 * shell does it with INT and QUIT of background jobs); an ignored SIGCHLD would reap our children
 * unseen. */
void sig_block_all(void)
{
    sigset_t set = read_set();
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (size_t i = 0; i < ARRAY_LEN(read_ones); i++)
        signal(read_ones[i], SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

int sig_open(void)
{
    sigset_t set = read_set();
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int sig_read(int fd, int *pid)
{
    struct signalfd_siginfo info;
    ssize_t n;
    do {
        n = read(fd, &info, sizeof(info));
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(info))
        return 0;
    *pid = (int)info.ssi_pid;
    return (int)info.ssi_signo;
}

void sig_reset(void)
{
    sigset_t none;
    for (size_t i = 0; i < ARRAY_LEN(read_ones); i++)
        signal(read_ones[i], SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

#define NAME(sig)                                                                                  \
    case sig:                                                                                      \
        return #sig

const char *sig_name(int sig)
{
    switch (sig) {
        NAME(SIGHUP);
        NAME(SIGINT);
        NAME(SIGQUIT);
        NAME(SIGILL);
        NAME(SIGTRAP);
        NAME(SIGABRT);
        NAME(SIGBUS);
        NAME(SIGFPE);
        NAME(SIGKILL);
        NAME(SIGUSR1);
        NAME(SIGSEGV);
        NAME(SIGUSR2);
        NAME(SIGPIPE);
        NAME(SIGALRM);
        NAME(SIGTERM);
        NAME(SIGCHLD);
        NAME(SIGCONT);
        NAME(SIGSTOP);
        NAME(SIGTSTP);
        NAME(SIGTTIN);
        NAME(SIGTTOU);
        NAME(SIGURG);
        NAME(SIGXCPU);
        NAME(SIGXFSZ);
        NAME(SIGVTALRM);
        NAME(SIGPROF);
        NAME(SIGWINCH);
        NAME(SIGIO);
        NAME(SIGPWR);
        NAME(SIGSYS);
    default:
        return "unknown signal";
    }
}
