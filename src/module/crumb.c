#include "module/crumb.h"

#include <stddef.h>

static struct ipc_crumb private_crumb;
struct ipc_crumb *crumb_here = &private_crumb;
__thread uint32_t crumb_thread_where;

void crumb_use(struct ipc_crumb *c)
{
    crumb_here = c ? c : &private_crumb;
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
    };
    return hook < CRUMB_HOOKS ? names[hook] : "?";
}
