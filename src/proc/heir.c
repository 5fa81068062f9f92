/* heir.c - see master.h. Shares are small and heirs are chosen by their connections, so the streams of one worker come to
 * lie evenly on all of the new ones, however many these are. */
#include "base/log.h"
#include "ipc/fdpass.h"
#include "os/fd.h"
#include "proc/master.h"

#include <string.h>
#include <sys/socket.h>

#define LEAST_SHARE 64

static int32_t gauge(const _Atomic int32_t *v)
{
    int32_t n = atomic_load_explicit(v, memory_order_relaxed);

    return n > 0 ? n : 0;
}

static bool is_asking(const struct master *m, const struct worker *w)
{
    const struct ipc_slot *slot = region_slot(&m->region, w->slot);

    return w->pid > 0 && atomic_load(&slot->state) == IPC_DRAINING &&
           atomic_load(&slot->heirs) != w->heirs;
}

/* Who has just become ready may not have said yet how many it takes. Idle connections make room. */
static bool has_room(const struct ipc_slot *slot)
{
    int32_t most = gauge(&slot->max);

    return most == 0 || gauge(&slot->active) - gauge(&slot->idle) < most;
}

static bool can_take(const struct master *m, const struct worker *w)
{
    const struct ipc_slot *slot = region_slot(&m->region, w->slot);

    return w->pid > 0 && w->ready && !w->told && atomic_load(&slot->state) == IPC_READY &&
           has_room(slot);
}

/* Its connections, with those that are on their way to it. */
static unsigned load_of(const struct master *m, const struct worker *heir)
{
    unsigned n = (unsigned)gauge(&region_slot(&m->region, heir->slot)->active);

    for (unsigned i = 0; i < m->crew.nworkers; i++) {
        const struct worker *w = &m->crew.workers[i];

        if (w->pid > 0 && w->heir == heir->slot && !is_asking(m, w)) {
            unsigned left = (unsigned)gauge(&region_slot(&m->region, w->slot)->streams);

            n += left < w->share ? left : w->share;
        }
    }
    return n;
}

/* *ready: among so many. */
static struct worker *choose(const struct master *m, unsigned *ready)
{
    struct worker *best = NULL;
    unsigned least = 0;

    *ready = 0;
    for (struct worker *w = generation_next(m->live, NULL); w; w = generation_next(m->live, w)) {
        unsigned load;

        if (!can_take(m, w))
            continue;
        load = load_of(m, w);
        if (!best || load < least) {
            best = w;
            least = load;
        }
        ++*ready;
    }
    return best;
}

/* 0 or -errno. Who has got an end without another sees the channel close. */
static int connect_them(struct worker *old, struct worker *heir, unsigned share)
{
    const struct fdpass_msg give = {.kind = FDPASS_HEIR, .serial = share};
    const struct fdpass_msg take = {.kind = FDPASS_LEGACY};
    int ends[2], rc = fd_pair(SOCK_SEQPACKET, ends);

    if (rc < 0)
        return rc;
    rc = fdpass_send(heir->pass, &take, ends[0]);
    if (rc == 0)
        rc = fdpass_send(old->pass, &give, ends[1]);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    return rc;
}

static void serve_one(struct master *m, struct worker *w)
{
    unsigned streams = (unsigned)gauge(&region_slot(&m->region, w->slot)->streams), ready;
    uint32_t asked = atomic_load(&region_slot(&m->region, w->slot)->heirs);
    struct worker *heir = choose(m, &ready);
    unsigned share;
    int rc;

    if (!heir)
        return;
    share = (streams + ready - 1) / ready;
    if (share < LEAST_SHARE)
        share = LEAST_SHARE;
    rc = connect_them(w, heir, share);
    if (rc < 0) {
        log_debug("worker %d cannot be given an heir yet: %s", worker_number(w), strerror(-rc));
        return;
    }
    w->heirs = asked;
    w->heir = heir->slot;
    w->share = share;
    log_debug("worker %d may give %u of its %u streams to worker %d", worker_number(w), share,
              streams, worker_number(heir));
}

void heir_look(struct master *m)
{
    if (m->stop || m->paused)
        return;
    for (unsigned i = 0; i < m->crew.nworkers; i++)
        if (is_asking(m, &m->crew.workers[i]))
            serve_one(m, &m->crew.workers[i]);
}
