#include "proc/quarantine.h"

#include "base/check.h"

#include <signal.h>
#include <sys/wait.h>

bool quarantine_count(struct ipc_module *m, uint64_t now_ms, unsigned limit, uint64_t window_ms)
{
    uint64_t n = atomic_load(&m->recent);

    check(limit <= IPC_MODULE_CRASHES);
    atomic_store(&m->crashed_ms[n % IPC_MODULE_CRASHES], now_ms);
    atomic_store(&m->recent, ++n);
    atomic_fetch_add(&m->crashes, 1);
    if (limit == 0 || n < limit)
        return false;
    return now_ms - atomic_load(&m->crashed_ms[(n - limit) % IPC_MODULE_CRASHES]) <= window_ms;
}

void quarantine_forget(struct ipc_module *m)
{
    atomic_store(&m->recent, 0);
}

static bool is_fault(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGABRT ||
           sig == SIGTRAP || sig == SIGSYS || sig == SIGXFSZ;
}

bool quarantine_is_fault(int status, bool reported)
{
    return WIFEXITED(status) || reported || (WIFSIGNALED(status) && is_fault(WTERMSIG(status)));
}
