/* log_queue.h - lines on their way into log files: gathered by the loop, written by threads.
 *
 *     log_queue_added -> lines -> (LOG_FLUSH_MS after the last time, or LOG_FLUSH_AT bytes) -> full -> a thread writes it
 *
 * After a quiet moment a line goes to the thread in the same turn of the loop, so who watches the file sees it at once; under
 * load it costs a copy, and no system call. The loop never writes: what is slow, hangs or is full holds up nobody. Lines then
 * gather up to LOG_KEEP bytes; those that come after that are dropped.
 *
 * Counters of the slot: IPC_LOG_ENTRIES = IPC_LOG_LINES (written) + IPC_LOG_DROPPED + what has gathered. The master adds the
 * last to those dropped when the process has ended (board_bury), however that was. */
#ifndef SERVE_LOG_QUEUE_H
#define SERVE_LOG_QUEUE_H

#include "base/buf.h"
#include "event/pool.h"
#include "ipc/region.h"
#include "serve/log_sink.h"

#define LOG_FLUSH_MS 100
#define LOG_FLUSH_AT ((size_t)32 * 1024)
#define LOG_RETRY_MS 1000 /* after a failure */
#define LOG_LAST_MS                                                                                \
    5000 /* at the end: for a log that fails, and where nothing else limits it, for one that hangs */
#define LOG_KEEP ((size_t)1024 * 1024)

/* The threads of a process for all of its queues, one for each at most; none before the first line. */
struct log_writer {
    struct loop *loop;
    struct ipc_slot *slot;
    struct pool pool;
    struct timer wake, last;
    struct list queues, pending; /* all; those that have something to hand over */
    unsigned moving;
    bool hurry;
};

struct log_queue {
    struct log_writer *writer;
    struct list all, node; /* in queues; in pending */
    const char *path;
    struct buf lines; /* gathers */
    struct buf full;  /* being written, or what is left of it */
    bool busy;        /* a thread has sink and full */
    struct log_sink sink;
    uint64_t next_ms; /* not handed over before that */
    int next_fd;      /* takes the place of sink.fd as soon as that is possible; -1 */
    struct pool_job job;
    /* What the thread tells. */
    size_t done;
    uint64_t took_us;
    int error;
    /* Trouble. */
    int why;       /* errno of the last failure; 0: the last write went well */
    uint64_t lost; /* dropped, and the log does not know yet */
    int lost_why;  /* errno of the failure that they were dropped in */
    /* When the error log was told of trouble, of what was lost; 0 = never. */
    uint64_t told_ms, told_lost_ms;
};

/* max: as many queues as there will be. */
void log_writer_init(struct log_writer *w, struct loop *loop, struct ipc_slot *slot, unsigned max);
/* path is for messages and stays the caller's; fd is taken over. */
void log_queue_init(struct log_queue *q, struct log_writer *w, const char *path, int fd);

/* Where to add one line; NULL: it is dropped. Either way it is counted. */
struct buf *log_queue_room(struct log_queue *q);
/* The line stands there. */
void log_queue_added(struct log_queue *q);

/* Once in each turn of the loop, before it waits. */
void log_writer_before_wait(struct log_writer *w);

/* Another descriptor from now on (taken over; the one before is closed). What has gathered goes there, but for what a thread
 * is writing: until it has done so, log_writer_is_moving. */
void log_queue_move(struct log_queue *q, int fd);
static inline bool log_writer_is_moving(const struct log_writer *w)
{
    return w->moving > 0;
}

/* The end begins, and is asked for again in each turn of the loop: nothing waits for more to come. True: nothing is left, or
 * what is left has failed for LOG_LAST_MS. One that hangs is waited for; as long, unless limited: the caller gives up then. */
bool log_writer_hurry(struct log_writer *w, bool limited);
/* Waits at most ms milliseconds until all is written, tells of what is not, and ends the threads. False: one still writes:
 * the process is to _exit, and nothing of this to be freed. */
bool log_writer_end(struct log_writer *w, int ms);
void log_queue_free(struct log_queue *q);

#endif
