/* layout.h - the whole shared memory on one page: what two processes touch is described here and nowhere else.
 *
 * Rules: indices, never pointers; fixed-size fields; one declared writer per field ("w:" below); plain relaxed
 * loads and stores unless it says seq_cst. One memfd region, mapped before the first fork, never grown.
 *
 *   struct ipc_header | struct ipc_turn | struct ipc_counter_name[] | struct ipc_slot[nslots]
 *
 * Slots: 0 is the master, 1..2 the primaries, 3 the canary, then 3 x max_workers for workers: those of the live
 * generation and of two draining ones. Counters belong to the slot and are never reset: a successor goes on where its
 * predecessor stopped, so sums never go backwards and survive any death without a fold. Gauges are cleared by the
 * master when a process has died. */
#ifndef IPC_LAYOUT_H
#define IPC_LAYOUT_H

#include "os/lock.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#define IPC_LAYOUT_VERSION 2
#define IPC_MAGIC          0x43535348u
#define IPC_CACHE_LINE     64

enum {
    IPC_SLOT_MASTER,
    IPC_SLOT_PRIMARY_A,
    IPC_SLOT_PRIMARY_B,
    IPC_SLOT_CANARY,
    IPC_SLOT_WORKERS
};

enum ipc_state {
    IPC_FREE,     /* nobody */
    IPC_STARTING, /* forked, not ready */
    IPC_READY,    /* takes turns */
    IPC_DRAINING, /* finishes what it has */
    IPC_STATES
};

/* May this worker have the accept turn? */
enum ipc_fit {
    IPC_UNFIT, /* not ready, draining, or resting because descriptors ran out */
    IPC_FULL,  /* at its max: only when nobody is IPC_FIT, to shed or to answer 503 */
    IPC_FIT
};

enum ipc_park {
    IPC_RUN, /* busy, or not there */
    IPC_PARK /* sleeps in epoll_wait, or is about to: a kick will be seen */
};

/* Counters of one process, by name in board.c; w: the process itself. */
enum ipc_counter {
    IPC_ACCEPTS,
    IPC_ACCEPT_EMPTY, /* accept that found nothing */
    IPC_ACCEPT_FULL,  /* paused: out of descriptors or memory */
    IPC_TURN_TAKES,
    IPC_TURN_GIVES,
    IPC_TURN_KICKS_SENT,
    IPC_TURN_KICKS_RECEIVED,
    IPC_TURN_KICKS_FUTILE, /* woken for the turn, and somebody else had it */
    IPC_TURN_RECOVERED,    /* took over the lock of a dead holder */
    /* Returns of epoll_wait: each counts once, under the first cause that is true of it. */
    IPC_WAKEUPS_KICK,
    IPC_WAKEUPS_LISTENER,
    IPC_WAKEUPS_CONNECTION,
    IPC_WAKEUPS_BELL,  /* signals, descriptors passed, the bell without a kick */
    IPC_WAKEUPS_TIMER, /* no event, and a timer is due */
    IPC_WAKEUPS_NOTHING,
    IPC_CONNECTIONS, /* connections begun */
    IPC_REQUESTS,    /* requests whose answer has left, or whose client went away */
    IPC_STATUS_1XX,
    IPC_STATUS_2XX,
    IPC_STATUS_3XX,
    IPC_STATUS_4XX,
    IPC_STATUS_5XX,
    IPC_BYTES_IN,
    IPC_BYTES_OUT,
    IPC_BAD_REQUEST,       /* head or body refused with 400, 501, 505, 417 */
    IPC_LIMIT_HEAD,        /* 431, 414 */
    IPC_LIMIT_BODY,        /* 413 */
    IPC_LIMIT_CONNECTIONS, /* 503, or an idle connection closed early */
    IPC_TIMEOUT_HEAD,
    IPC_TIMEOUT_BODY,
    IPC_TIMEOUT_IDLE,
    IPC_TIMEOUT_WRITE,
    IPC_TIMEOUT_HANDLER,
    IPC_CLIENT_GONE, /* client went away before its answer was complete */
    IPC_HANDLER_ERRORS,
    IPC_LOG_LINES,
    IPC_LOG_BLOCKED, /* writes of the access log that took over 10 ms */
    IPC_LOG_DROPPED, /* lines lost because the log could not be written */
    IPC_COUNTERS
};

/* Durations, counted by size: the last bucket has no upper bound. w: the process itself. */
enum ipc_histogram {
    IPC_HOLD,         /* of the turn, from the first event of a listener until it is passed on */
    IPC_GIVE_TO_TAKE, /* from when the turn was passed on until this worker took it */
    IPC_HISTOGRAMS
};

#define IPC_BUCKETS 20 /* bucket i: at most 2^i microseconds; the last: all that is longer */

struct ipc_buckets {
    _Atomic uint64_t count[IPC_BUCKETS];
    _Atomic uint64_t sum_us;
};

#define IPC_MODULE_COUNTERS 256
#define IPC_COUNTER_NAME    96 /* "module.counter", NUL-terminated */

struct ipc_counter_name {
    _Atomic uint32_t used; /* 1 when name is complete; w: master */
    char name[IPC_COUNTER_NAME];
    char help[160];
};

struct ipc_slot {
    /* The turn's handshake: seq_cst. */
    alignas(IPC_CACHE_LINE) _Atomic uint32_t
        park;              /* enum ipc_park; w: itself (master after its death) */
    _Atomic uint32_t kick; /* w: whoever kicks sets it, the slot's process clears it */

    /* Read by others to choose whom to kick; w: the slot's process (master after its death). */
    _Atomic int32_t active; /* open connections */
    _Atomic int32_t max;    /* most it takes */
    _Atomic uint32_t fit;   /* enum ipc_fit */
    _Atomic uint32_t
        takes; /* 1: it has listeners that are taken turns at. w: turn_init, then the process */
    _Atomic uint32_t
        lost; /* 1: kicked long ago and still asleep (stopped?), so nobody kicks it for the turn;
                               w: master sets it, the process clears it when it wakes */

    /* Identity; w: master, but state: the process itself sets READY and DRAINING. */
    alignas(IPC_CACHE_LINE) _Atomic uint32_t state; /* enum ipc_state */
    _Atomic int32_t pid;
    _Atomic uint32_t incarnation;
    _Atomic uint32_t generation;
    _Atomic uint64_t started_ms; /* monotonic */
    _Atomic uint64_t
        drain_until; /* monotonic ms, 0 = no deadline; read by the process when it is told to drain */
    _Atomic uint32_t
        reopened; /* w: the process: number of the last log reopen it has carried out */
    _Atomic uint32_t position; /* 0.. among the workers of its generation; kept over respawns */
    _Atomic uint32_t
        recycle; /* w: the process: 1 = it has had its share of requests, a successor may come */
    /* Of the n-th slot of workers: the slot whose process accepts from the n-th socket of each reuseport listener,
     * -1 = nobody yet. Whoever changes it makes turn->epoch grow and rings. */
    _Atomic int32_t socket_owner;

    alignas(IPC_CACHE_LINE) _Atomic uint64_t counters[IPC_COUNTERS];
    struct ipc_buckets histograms[IPC_HISTOGRAMS];
    _Atomic uint64_t module_counters[IPC_MODULE_COUNTERS];
};

struct ipc_turn {
    alignas(IPC_CACHE_LINE) struct lock lock;
    _Atomic int32_t owner;     /* slot, -1 = nobody; w: the holder */
    _Atomic uint64_t since_us; /* monotonic; w: the holder */
    _Atomic uint64_t
        given_us; /* monotonic, when it was last passed on; 0 = never, or its owner died. w: the holder */
    _Atomic uint32_t
        epoch; /* grows when everybody has to look at the listeners afresh: other owners, another live generation, a wake-up
     that somebody could not use; w: all, by atomic addition */
    _Atomic uint32_t
        broken; /* 1: the lock cannot be recovered; listeners are shared with EPOLLEXCLUSIVE */
    _Atomic uint32_t
        used; /* one past the highest slot that ever took part; w: turn_init, only upwards */
};

struct ipc_header {
    uint32_t magic, version;
    uint64_t size;
    uint32_t max_workers, nslots;
    _Atomic uint32_t generation; /* of the newest generation that is live; w: master */
    _Atomic uint32_t degraded;   /* 1: workers keep failing to start; w: master */
    _Atomic uint64_t started_wall_us;
    _Atomic uint64_t reloads, reloads_failed, spawns, crashes; /* w: master */
    _Atomic uint64_t stalls, stall_kills, recycled;            /* w: master */
};

_Static_assert(sizeof(struct ipc_slot) % IPC_CACHE_LINE == 0, "slots keep their cache lines apart");

#endif
