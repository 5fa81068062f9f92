#include "module/crumb.h"

#include "os/fd.h"

#include <stddef.h>

static struct ipc_crumb private_crumb;
static const struct ipc_module unknown[IPC_MODULES];
static const _Atomic uint32_t awake;
static struct region *shared;

struct ipc_crumb *crumb_here = &private_crumb;
const struct ipc_module *crumb_modules = unknown;
uint32_t crumb_generation = 1;
const _Atomic uint32_t *crumb_watch = &awake;
__thread uint32_t crumb_thread_where;

void crumb_use(struct ipc_crumb *c)
{
    crumb_here = c ? c : &private_crumb;
}

void crumb_join(struct region *r, int slot, uint32_t generation)
{
    shared = r;
    crumb_use(&region_slot(r, slot)->crumb);
    crumb_modules = r->modules;
    crumb_generation = generation ? generation : 1;
    crumb_watch = &r->header->watch_sleeps;
}

void crumb_part(void)
{
    shared = NULL;
    crumb_use(NULL);
    crumb_modules = unknown;
    crumb_generation = 1;
    crumb_watch = &awake;
}

void crumb_wake_watch(void)
{
    if (atomic_exchange(&shared->header->watch_sleeps, 0))
        fd_event_ring(shared->master_bell);
}

const char *crumb_hook_name(enum crumb_hook hook)
{
    static const char *const names[CRUMB_HOOKS] = {
        "-",
        "worker_start",
        "worker_stop",
        "primary_start",
        "primary_stop",
        "access",
        "handler",
        "header_filter",
        "body_filter",
        "on_log",
        "on_data",
        "on_drain",
        "on_close",
        "a timer",
        "a watch",
        "work on a thread",
        "done of a job or call",
        "on_message",
        "on_join",
        "on_leave",
        "a stream's callback",
        "release",
        "a zone's init or recover",
        "a request's timer",
        "done of cs_offload",
    };
    return hook < CRUMB_HOOKS ? names[hook] : "?";
}
