/* task_module.c - one hello in the forms that make bench-tasks compares. FLAGS: of the module. WAIT: milliseconds that it
 * waits before it answers; not defined: it does not. */
#include <cserver/cserver.h>

#ifndef FLAGS
#define FLAGS CS_TASK
#define NAME  "task"
#endif

static int handler(cs_req *r)
{
#ifdef WAIT
    if (WAIT && cs_format(r, "%s%d", "/", WAIT).n < 2) /* so that it has been as deep as most are */
        return CS_ERROR;
    if (cs_sleep(r, WAIT) != CS_OK)
        return CS_CLOSED;
#endif
    return cs_text(r, 200, "Hello, world!\n");
}

CS_MODULE(.name = NAME, .version = "1.0", .flags = FLAGS, .handler = handler);
