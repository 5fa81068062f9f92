/* crumb.h - what this process is doing in whose code, left in shared memory where the crash report, the master and the
 * stall watch find it. Every call of a module's function stands between crumb_enter and crumb_leave:
 *
 *     uint32_t was = crumb_enter(module->number, CRUMB_HANDLER);
 *     rc = module->desc->handler(...);
 *     crumb_leave(was);
 *
 * A callback belongs to the module that was running when it was registered: keep crumb_module() with it. */
#ifndef MODULE_CRUMB_H
#define MODULE_CRUMB_H

#include "base/clock.h"
#include "ipc/region.h"

#include <stdbool.h>

/* In the order of crumb_hook_name. */
enum crumb_hook {
    CRUMB_NONE,
    CRUMB_WORKER_START,
    CRUMB_WORKER_STOP,
    CRUMB_PRIMARY_START,
    CRUMB_PRIMARY_STOP,
    CRUMB_ACCESS,
    CRUMB_HANDLER,
    CRUMB_HEADER_FILTER,
    CRUMB_BODY_FILTER,
    CRUMB_LOG,
    CRUMB_ON_DATA,
    CRUMB_ON_DRAIN,
    CRUMB_ON_CLOSE,
    CRUMB_TIMER,
    CRUMB_WATCH,
    CRUMB_WORK, /* a pool thread: never in the crumb of the process */
    CRUMB_DONE, /* of a job, a call, an applied message */
    CRUMB_ON_MESSAGE,
    CRUMB_ON_JOIN,
    CRUMB_ON_LEAVE,
    CRUMB_STREAM, /* callbacks, on_save and on_adopt of streams */
    CRUMB_RELEASE,
    CRUMB_ZONE, /* init and recover */
    CRUMB_REQ_TIMER,
    CRUMB_REQ_DONE, /* of cs_offload */
    CRUMB_FETCH,    /* callbacks of cs_fetch and cs_subrequest */
    CRUMB_HOOKS
};

/* Never NULL: before crumb_use it is a private one. */
extern struct ipc_crumb *crumb_here;

/* The same word for a thread of the pool: in whose work it is, with the hook CRUMB_WORK. 0 on every other thread. A
 * signal handler may read it. */
extern __thread uint32_t crumb_thread_where __attribute__((tls_model("initial-exec")));

/* What all know of the modules, by number. Never NULL: before crumb_join nothing is known of any. */
extern const struct ipc_module *crumb_modules;
extern uint32_t crumb_generation; /* of the settings this process runs on */
/* Longer than so many ms nobody should be in modules without coming back; UINT64_MAX: it does not matter. */
extern uint64_t crumb_limit_ms;

/* From now on this process leaves its crumbs in its slot and looks at what others know of the modules. */
void crumb_join(struct region *r, int slot, uint32_t generation);
/* As before crumb_join: the region is about to go. */
void crumb_part(void);
/* From now on this process leaves its crumbs there. NULL: privately again. */
void crumb_use(struct ipc_crumb *c);
/* From now on on_long is called when somebody comes back after limit_ms or more, with the place he was in (that of the
 * outermost call) still in the crumb; on the loop's thread. */
void crumb_limit(uint64_t limit_ms, void (*on_long)(uint64_t stayed_ms));
void crumb_say_long(uint64_t stayed_ms);
/* Around a wait for the lock of a zone. holder: its pid, 0 where that is not known. */
void crumb_wait(int32_t holder);
void crumb_waited(void);
/* So long the stay that is now has waited so far. */
uint64_t crumb_waited_ms(void);
const char *crumb_hook_name(enum crumb_hook hook);

/* module: conf_module.number, 0 where it is not known. */
static inline uint32_t crumb_enter(unsigned module, enum crumb_hook hook)
{
    struct ipc_crumb *c = crumb_here;
    uint32_t was = atomic_load_explicit(&c->where, memory_order_relaxed);
    if (!was)
        atomic_store_explicit(&c->since_ms, clock_coarse_ms(), memory_order_relaxed);
    atomic_store_explicit(&c->where, (uint32_t)module << 8 | (uint32_t)hook, memory_order_relaxed);
    return was;
}
static inline void crumb_leave(uint32_t was)
{
    struct ipc_crumb *c = crumb_here;
    if (!was && crumb_limit_ms != UINT64_MAX) {
        uint64_t since = atomic_load_explicit(&c->since_ms, memory_order_relaxed);
        uint64_t now = clock_coarse_ms();
        if (now - since >= crumb_limit_ms)
            crumb_say_long(now - since);
    }
    atomic_store_explicit(&c->where, was, memory_order_relaxed);
}
/* The module whose code runs: whose callback it is that is being registered. 0: none. */
static inline unsigned crumb_module(void)
{
    return atomic_load_explicit(&crumb_here->where, memory_order_relaxed) >> 8;
}

/* Has it crashed too often? Then it is not called: its requests are answered with 503, the rest is left out. Lifted for
 * processes of later settings. number: below IPC_MODULES; 0 is never quarantined. */
static inline bool crumb_is_quarantined(unsigned number)
{
    return atomic_load_explicit(&crumb_modules[number].quarantined, memory_order_relaxed) >=
           crumb_generation;
}

#endif
