#include "module/crumb.h"

#include <stddef.h>

static struct ipc_crumb private_crumb;
static const struct ipc_module unknown[IPC_MODULES];
static void (*on_long_stay)(uint64_t stayed_ms);
static uint64_t wait_began_ms, waited_ms,
    waited_in; /* the latter: since_ms of the stay it was in */

struct ipc_crumb *crumb_here = &private_crumb;
const struct ipc_module *crumb_modules = unknown;
uint32_t crumb_generation = 1;
uint64_t crumb_limit_ms = UINT64_MAX;
__thread uint32_t crumb_thread_where;

void crumb_use(struct ipc_crumb *c)
{
    crumb_here = c ? c : &private_crumb;
}

void crumb_join(struct region *r, int slot, uint32_t generation)
{
    crumb_use(&region_slot(r, slot)->crumb);
    crumb_modules = r->modules;
    crumb_generation = generation ? generation : 1;
}

void crumb_part(void)
{
    crumb_use(NULL);
    crumb_modules = unknown;
    crumb_generation = 1;
    crumb_limit(UINT64_MAX, NULL);
}

void crumb_limit(uint64_t limit_ms, void (*on_long)(uint64_t stayed_ms))
{
    crumb_limit_ms = limit_ms;
    on_long_stay = on_long;
}

void crumb_say_long(uint64_t stayed_ms)
{
    on_long_stay(stayed_ms);
}

void crumb_wait(int32_t holder)
{
    wait_began_ms = clock_coarse_ms();
    atomic_store(&crumb_here->waits_for, holder > 0 ? holder : -1);
}

void crumb_waited(void)
{
    uint64_t ms = crumb_waited_ms() + clock_coarse_ms() - wait_began_ms;
    atomic_store(&crumb_here->waits_for, 0);
    waited_in = atomic_load(&crumb_here->since_ms);
    waited_ms = ms;
}

uint64_t crumb_waited_ms(void)
{
    return waited_in == atomic_load(&crumb_here->since_ms) ? waited_ms : 0;
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
        "a callback of cs_fetch",
    };
    return hook < CRUMB_HOOKS ? names[hook] : "?";
}
