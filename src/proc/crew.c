/* crew.c - see crew.h. */
#include "proc/crew.h"

#include "base/clock.h"
#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int crew_init(struct crew *c, struct region *r, struct loop *loop)
{
    *c = (struct crew){.region = r, .loop = loop, .lifeline = {-1, -1}};
    if (pipe2(c->lifeline, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    c->nworkers = r->nslots - IPC_SLOT_WORKERS;
    c->workers = mem_alloc(c->nworkers * sizeof *c->workers);
    for (unsigned i = 0; i < c->nworkers; i++) {
        c->workers[i].slot = IPC_SLOT_WORKERS + (int)i;
        c->workers[i].pass = -1;
    }
    return 0;
}

void crew_free(struct crew *c)
{
    fd_close(&c->lifeline[0]);
    fd_close(&c->lifeline[1]);
    free(c->workers);
    c->workers = NULL;
    c->nworkers = 0;
}

struct worker *crew_find(struct crew *c, pid_t pid)
{
    for (unsigned i = 0; i < c->nworkers; i++)
        if (c->workers[i].pid == pid)
            return &c->workers[i];
    return NULL;
}

unsigned crew_free_slots(const struct crew *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->nworkers; i++)
        n += c->workers[i].generation == NULL;
    return n;
}

unsigned crew_count(const struct crew *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->nworkers; i++)
        n += c->workers[i].pid > 0;
    return n;
}

enum ipc_state crew_state(const struct crew *c, const struct worker *w)
{
    return (enum ipc_state)atomic_load(&region_slot(c->region, w->slot)->state);
}

void crew_look(struct crew *c, void (*on_ready)(void *arg, struct worker *w), void *arg)
{
    for (unsigned i = 0; i < c->nworkers; i++) {
        struct worker *w = &c->workers[i];

        if (w->pid <= 0 || w->ready || crew_state(c, w) < IPC_READY)
            continue;
        w->ready = true;
        w->ready_ms = clock_ms();
        on_ready(arg, w);
    }
}
