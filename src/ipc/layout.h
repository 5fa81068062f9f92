/* layout.h - the whole shared memory on one page: what two processes touch is described here and nowhere else.
 *
 * Rules: indices, never pointers; fixed-size fields; one declared writer per field ("w:" below); plain relaxed
 * loads and stores unless it says seq_cst. One memfd region, mapped before the first fork, never grown.
 *
 *   struct ipc_header | struct ipc_turn | struct ipc_counter_name[] | struct ipc_module[] | struct ipc_slot[nslots]
 *   | mail (see below)
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

#define IPC_LAYOUT_VERSION 10
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
    IPC_LIMIT_HEAD,        /* 431, 414; chunk extensions and trailers, too */
    IPC_LIMIT_BODY,        /* 413 */
    IPC_LIMIT_CONNECTIONS, /* 503, or an idle connection closed early */
    IPC_TIMEOUT_HEAD,
    IPC_TIMEOUT_BODY,
    IPC_TIMEOUT_IDLE,
    IPC_TIMEOUT_WRITE,
    IPC_TIMEOUT_HANDLER,
    IPC_CLIENT_GONE, /* client went away before its answer was complete */
    IPC_HANDLER_ERRORS,
    IPC_REGEX_LIMIT, /* 500 */
    IPC_LOG_ENTRIES, /* lines that were to be written to access logs: entries - lines - dropped wait */
    IPC_LOG_LINES,   /* written; w: threads of the process, by atomic addition */
    IPC_LOG_BLOCKED, /* writes of the access log that took over 10 ms */
    IPC_LOG_DROPPED, /* lines lost because the log could not be written; w: the master too, after its death */
    IPC_STREAM_MESSAGES, /* sent whole to one stream */
    IPC_STREAM_BYTES,
    IPC_STREAM_SLOW,     /* streams ended because their client was slow */
    IPC_STREAM_SKIPPED,  /* messages that a slow stream has missed */
    IPC_STREAMS_MOVED,   /* given to another worker */
    IPC_STREAMS_ADOPTED, /* taken from another worker */
    IPC_STREAMS_CLOSED,  /* ended because their worker drained and they could not move */
    IPC_BAD_PROXY, /* connections closed: no PROXY header, a bad one, or from a peer that is not trusted */
    IPC_DISK_READS, /* pieces of files that a thread was asked for, since they were not in memory */
    IPC_DISK_TIMEOUT,  /* connections closed: the disk did not give what was to be sent */
    IPC_TASK_WAITS,    /* times that a task has waited */
    IPC_TASK_NO_STACK, /* 503: no memory or no mapping for a stack */
    IPC_FETCHES, /* requests to other servers, and to this one; these in the order of enum upstream_count */
    IPC_FETCH_CONNECTS,
    IPC_FETCH_REUSES,
    IPC_FETCH_REPEATS,
    IPC_FETCH_NO_NAME,
    IPC_FETCH_NO_CONNECT,
    IPC_FETCH_TIMEOUT,
    IPC_FETCH_BROKEN,
    IPC_FETCH_BAD,
    IPC_SUBREQUESTS,
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

#define IPC_MODULES        128 /* numbers 1..127; 0 means none */
#define IPC_MODULE_NAME    32  /* with its NUL, as all of these */
#define IPC_MODULE_VERSION 32
#define IPC_MODULE_CRASHES 16 /* times of so many are kept */

/* What is known of a module, by its number, which its name keeps for ever. w: master */
struct ipc_module {
    alignas(IPC_CACHE_LINE) _Atomic uint32_t
        quarantined;       /* processes up to this generation do not call it; 0 = none */
    _Atomic uint32_t used; /* 1 when name is complete */
    _Atomic uint64_t crashes,
        stalls; /* of processes in its code; never reset. stalls: w: all, by atomic addition */
    _Atomic uint64_t recent;                         /* crashes since the live settings were new */
    _Atomic uint64_t crashed_ms[IPC_MODULE_CRASHES]; /* monotonic; of the n-th such at n % 16 */
    char name[IPC_MODULE_NAME], version[IPC_MODULE_VERSION]; /* the version may be torn */
};

/* In whose code a process is, and for which request: module/crumb.h. w: the process. The texts may be torn: who reads
 * them copies as many bytes as there is room for. */
struct ipc_crumb {
    _Atomic uint32_t where;    /* number of the module << 8 | enum crumb_hook; 0 = in none */
    _Atomic uint64_t since_ms; /* monotonic; when it went there from the server's own code */
    _Atomic int32_t
        waits_for; /* pid of who holds the lock of a zone that it waits for, -1: of somebody; 0: it waits
                                  for none */
    _Atomic uint32_t
        refused; /* as where: the start hook that has failed, so that the process ends; 0 = none */
    _Atomic uint64_t request; /* id of the last request that was given to a module; 0 = none yet */
    char route[40], path[64]; /* of that request */
    /* Of the last message that was given to a module. */
    _Atomic uint64_t seq;
    _Atomic uint32_t topic;
    _Atomic int32_t from; /* slot */
    /* Of its crash report, written once; what holds for its place is what does not change any more above. */
    _Atomic uint32_t signal;      /* 0: it has not written one; the last of these */
    _Atomic uint32_t crash_where; /* as where, of the thread that crashed: the others may go on */
    _Atomic uint32_t has_address;
    _Atomic uint64_t address; /* that was touched */
    char at[96];              /* where it was: "sse.so+0x1a3c" */
};

struct ipc_slot {
    /* The turn's handshake: seq_cst. */
    alignas(IPC_CACHE_LINE) _Atomic uint32_t
        park;              /* enum ipc_park; w: itself (master after its death) */
    _Atomic uint32_t kick; /* w: whoever kicks sets it, the slot's process clears it */

    /* Read by others to choose whom to kick; w: the slot's process (master after its death). */
    _Atomic int32_t active;  /* open connections */
    _Atomic int32_t max;     /* most it takes */
    _Atomic int32_t streams; /* open ones, for show */
    _Atomic int32_t fetch_conns,
        fetch_idle; /* connections to other servers; those kept for a next request */
    _Atomic int32_t tasks, task_stacks; /* that wait; all that are kept */
    _Atomic uint64_t
        task_stack_peak;  /* bytes that the deepest has used; stays when the process has gone */
    _Atomic uint32_t fit; /* enum ipc_fit */
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
    _Atomic uint64_t
        drain_since; /* monotonic ms, 0: does not drain. w: who tells it to, or the process that is told by others */
    _Atomic uint32_t
        reopened; /* w: the process: number of the last log reopen it has carried out */
    _Atomic uint32_t position; /* 0.. among the workers of its generation; kept over respawns */
    _Atomic uint32_t
        recycle; /* w: the process: 1 = it has had its share of requests, a successor may come */
    _Atomic uint32_t
        heirs; /* w: the process, while it drains: so often it has asked for one who takes its streams */
    /* Of the n-th slot of workers: the slot whose process accepts from the n-th socket of each reuseport listener,
     * -1 = nobody yet. Whoever changes it makes turn->epoch grow and rings. */
    _Atomic int32_t socket_owner;

    alignas(IPC_CACHE_LINE) struct ipc_crumb crumb;
    /* Of the `active` connections, those that wait for a next request; others than these and `streams` are in the middle
     * of one. w: the process */
    alignas(IPC_CACHE_LINE) _Atomic int32_t idle;
    _Atomic uint64_t counters[IPC_COUNTERS];
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
    _Atomic uint32_t revision;   /* of its run-time settings; w: master */
    _Atomic uint32_t leaving;    /* 1: the server stops, nobody takes its place; w: master */
    _Atomic uint32_t degraded;   /* 1: workers, or the primary, keep failing to start; w: master */
    _Atomic uint32_t reload_failed;  /* 1: the last reload was refused or rolled back; w: master */
    _Atomic uint64_t reload_wall_us; /* when it ended; 0 = there was none; w: master */
    _Atomic uint64_t started_wall_us;
    _Atomic uint64_t reloads, reloads_failed, spawns, crashes; /* w: master */
    _Atomic uint64_t stalls, stall_kills, recycled;            /* w: master */
};

_Static_assert(sizeof(struct ipc_slot) % IPC_CACHE_LINE == 0, "slots keep their cache lines apart");

/* ---- Mail: mailbox.h is the manual ----
 *
 *   struct ipc_mail | struct ipc_topic[] | struct ipc_latest[] | struct ipc_mail_slot[nslots] | the ring
 *
 * "w: lock" is written only by who holds ipc_mail.lock; a process may die with it between any two stores, and the next
 * holder finds a whole story (ring.c). */

#define IPC_TOPICS      256
#define IPC_TOPIC_NAME  48
#define IPC_TOPIC_OWNER 48
#define IPC_LATEST      65    /* most topics that keep their latest value; one is the server's */
#define IPC_LATEST_MAX  4096  /* bytes of such a value */
#define IPC_MAIL_CELL   128   /* bytes; a record takes whole cells */
#define IPC_MAIL_CELLS  8192  /* of the ring; a power of two */
#define IPC_MAIL_MAX    65536 /* bytes of one message */
#define IPC_MAIL_STARTS 64    /* parts of the ring of which the beginning of a record is known */

/* One message as it lies in the ring: this head, then the payload. It never wraps: where the end of the ring is too
 * near, a record of the topic IPC_MAIL_PAD fills it. Written as words: see ring.h. */
struct ipc_mail_record {
    uint64_t pos;     /* its first cell, counted since the start: position % cells is its place */
    uint64_t seq;     /* of all messages */
    uint64_t number;  /* of the messages of its topic */
    uint64_t sent_us; /* monotonic */
    uint32_t len;
    uint16_t cells, topic;
    int16_t to; /* a slot, or enum mail_group */
    uint16_t from_slot;
    uint32_t to_incarnation, from_incarnation, check;
    uint16_t hops, spare;
    uint32_t call; /* 0, or what the answer repeats */
};
#define IPC_MAIL_PAD  0xffffu
#define IPC_MAIL_HEAD (sizeof(struct ipc_mail_record) / sizeof(uint64_t)) /* words */

/* Messages of a topic are counted by whom they are for, so that a receiver knows what it has missed. */
enum ipc_mail_class {
    IPC_MAIL_TO_ALL,
    IPC_MAIL_TO_WORKERS,
    IPC_MAIL_TO_PRIMARY,
    IPC_MAIL_CLASSES
};

/* A name, when used is 1, stays for ever. w: master; counters w: lock. */
struct ipc_topic {
    alignas(IPC_CACHE_LINE) _Atomic uint32_t used;
    _Atomic uint32_t max_len;
    _Atomic int32_t latest; /* index in ipc_latest[], -1: keeps no value */
    char name[IPC_TOPIC_NAME], owner[IPC_TOPIC_OWNER];
    alignas(IPC_CACHE_LINE) _Atomic uint64_t published; /* all, also those for one slot */
    _Atomic uint64_t bytes;
    _Atomic uint64_t sent[IPC_MAIL_CLASSES];
};

/* The latest value of a topic, twice: a writer that dies spoils only the older one. w: lock */
struct ipc_latest {
    struct ipc_latest_copy {
        alignas(IPC_CACHE_LINE) _Atomic uint32_t valid;
        _Atomic uint64_t words[IPC_MAIL_HEAD + IPC_LATEST_MAX / sizeof(uint64_t)]; /* a record */
    } copy[2];
};

enum ipc_mail_state {
    IPC_MAIL_OUT,     /* takes no mail */
    IPC_MAIL_LIVE,    /* takes mail: what it has not taken is not overwritten */
    IPC_MAIL_LAGGING, /* was too slow, is not waited for; goes on from the head when it looks again */
    IPC_MAIL_HELD, /* the place of a primary that is gone, kept for its successor like a live one */
    IPC_MAIL_FORFEIT, /* such a place, not waited for any longer */
    IPC_MAIL_STATES
};

/* Counters of one process, by name in mailstat.c; w: the process itself. */
enum ipc_mail_counter {
    IPC_MAIL_PUBLISHED, /* committed to the ring */
    IPC_MAIL_DELIVERED,
    IPC_MAIL_RETAINED, /* latest values given to a newborn, not in DELIVERED */
    IPC_MAIL_LOST,     /* missed after an eviction, and reported */
    IPC_MAIL_SKIPPED,  /* looked at, for others */
    IPC_MAIL_STALE,    /* for an incarnation that was gone by then, or for nobody; dropped */
    IPC_MAIL_QUEUED,   /* had to wait in the outbox */
    IPC_MAIL_FULL,     /* attempts that found the ring full */
    IPC_MAIL_BUSY,     /* attempts that found the lock taken */
    IPC_MAIL_REFUSED,  /* the outbox was full */
    IPC_MAIL_UNSENT,   /* were still in the outbox when the process had to end */
    IPC_MAIL_LOOPS,    /* refused after too many hops */
    IPC_MAIL_BELLS_SENT,
    IPC_MAIL_BELLS_SAVED_FLAG,    /* not rung: it had been rung already */
    IPC_MAIL_BELLS_SAVED_RUNNING, /* not rung: it was awake */
    IPC_MAIL_BELLS_HEARD,
    IPC_MAIL_BELLS_FUTILE, /* and there was nothing */
    IPC_MAIL_RECOVERED,    /* took over the lock of a dead holder */
    IPC_MAIL_CORRUPT,      /* records that made no sense */
    IPC_MAIL_COUNTERS
};

enum ipc_mail_histogram {
    IPC_MAIL_LATENCY, /* from publish to callback */
    IPC_MAIL_CALLBACK,
    IPC_MAIL_HISTOGRAMS
};

/* What a process waits for; whoever makes it true rings it. */
enum ipc_mail_waits {
    IPC_MAIL_WAITS_ROOM = 1,
    IPC_MAIL_WAITS_HANDLED = 2
};

struct ipc_mail_slot {
    /* w: the process (a successor to a primary's place: under the lock). Positions in cells. */
    alignas(IPC_CACHE_LINE) _Atomic uint64_t cursor; /* all before it is copied out */
    _Atomic uint64_t handled; /* the callbacks of all before it have returned */

    alignas(IPC_CACHE_LINE) _Atomic uint32_t
        state;                    /* enum ipc_mail_state; w: the process and the master */
    _Atomic uint32_t incarnation; /* who has joined here; w: the process */
    _Atomic uint64_t topics[IPC_TOPICS / 64]; /* bits: topics it takes; w: the process */

    alignas(IPC_CACHE_LINE) _Atomic uint32_t
        note;               /* a bell is on its way. seq_cst; w: who rings sets it, the process
                                                      clears it */
    _Atomic uint32_t waits; /* enum ipc_mail_waits, bits; w: the process */

    alignas(IPC_CACHE_LINE) _Atomic uint64_t
        counters[IPC_MAIL_COUNTERS];              /* w: the process; never reset */
    _Atomic uint64_t outbox, outbox_max, lag_max; /* bytes, bytes, cells */
    struct ipc_buckets histograms[IPC_MAIL_HISTOGRAMS];

    /* By topic. What it is owed: the topic's messages for its kind + extra - base - delivered - lost. */
    alignas(IPC_CACHE_LINE) _Atomic uint64_t
        extra[IPC_TOPICS];             /* for this slot alone, less what it sent to others but
                                                                   itself; w: lock */
    _Atomic uint64_t base[IPC_TOPICS]; /* w: the process, when it begins to take the topic */
    _Atomic uint64_t delivered[IPC_TOPICS], lost[IPC_TOPICS]; /* w: the process; never reset */
};

/* What a commit changes besides the head, as values that may be stored twice: the next holder of the lock does it
 * again when `end` is the head. w: lock */
struct ipc_mail_journal {
    _Atomic uint64_t end, seq, published, bytes, sent, extra;
    _Atomic uint32_t topic;
    _Atomic int32_t class, slot; /* which of sent[] and whose extra[]; -1: none */
};

struct ipc_mail {
    alignas(IPC_CACHE_LINE) struct lock lock;
    _Atomic uint64_t gate; /* no live cursor is below it; w: lock */
    _Atomic uint64_t seq;  /* of the last message; w: lock */
    /* For those who read what they have passed (replay.h): what lies a whole ring before `reserved` is written over, or
     * will be next; where, in each part of the ring, the first record begins, if one does. w: lock */
    _Atomic uint64_t reserved;
    _Atomic uint64_t starts[IPC_MAIL_STARTS];
    struct ipc_mail_journal journal;

    alignas(IPC_CACHE_LINE) _Atomic uint64_t
        head; /* end of the last message: the commit point; w: lock */

    alignas(IPC_CACHE_LINE) _Atomic uint32_t waiters; /* 1: perhaps some slot waits. seq_cst */

    alignas(IPC_CACHE_LINE) uint32_t cells; /* of the ring; w: region_new */
    _Atomic uint32_t doorbell;  /* enum ipc_doorbell; w: master, before the first fork */
    _Atomic uint32_t used;      /* one past the highest slot that ever joined; only upwards */
    _Atomic uint32_t broken;    /* 1: the lock cannot be recovered, no more mail */
    _Atomic uint32_t closed;    /* 1: no more for a primary that gets no successor; w: lock */
    _Atomic uint64_t evictions; /* w: master */
    _Atomic uint64_t
        watched[IPC_TOPICS / 64]; /* bits: topics whose messages the master sees; w: master */
};

enum ipc_doorbell {
    IPC_DOORBELL_SIGNAL, /* SIGUSR1; the slot's eventfd where that does not work */
    IPC_DOORBELL_EVENTFD
};

_Static_assert(sizeof(struct ipc_mail_record) == 64, "a record's head is half a cell");
_Static_assert(sizeof(struct ipc_mail_slot) % IPC_CACHE_LINE == 0, "as with slots");

#endif
