/* mailstat.c - as in board.c: each number has one writer, and one that is a few events old is a true one. */
#include "ipc/mailstat.h"

#include "base/check.h"
#include "ipc/ring.h"

static const struct mailstat_name counters[IPC_MAIL_COUNTERS] = {
    [IPC_MAIL_PUBLISHED] = {"cserver_mail_published_total", "Messages put into the ring."},
    [IPC_MAIL_DELIVERED] = {"cserver_mail_delivered_total", "Messages handed to their handlers."},
    [IPC_MAIL_RETAINED] = {"cserver_mail_retained_total",
                           "Latest values handed to processes that were started later."},
    [IPC_MAIL_LOST] = {"cserver_mail_lost_total",
                       "Messages missed by slow processes, and reported to them."},
    [IPC_MAIL_SKIPPED] = {"cserver_mail_skipped_total",
                          "Messages looked at that were for other processes."},
    [IPC_MAIL_STALE] = {"cserver_mail_stale_total",
                        "Messages dropped because the process they were for was gone."},
    [IPC_MAIL_QUEUED] = {"cserver_mail_queued_total",
                         "Messages that had to wait in their sender's outbox."},
    [IPC_MAIL_FULL] = {"cserver_mail_full_total", "Attempts to publish that found the ring full."},
    [IPC_MAIL_BUSY] = {"cserver_mail_busy_total", "Attempts to publish that found the lock taken."},
    [IPC_MAIL_REFUSED] = {"cserver_mail_refused_total",
                          "Messages refused because the sender's outbox was full."},
    [IPC_MAIL_UNSENT] = {"cserver_mail_unsent_total",
                         "Messages that were still in the outbox when their sender had to end."},
    [IPC_MAIL_LOOPS] = {"cserver_mail_loops_total",
                        "Messages refused because they answered too many others in a row."},
    [IPC_MAIL_BELLS_SENT] = {"cserver_mail_bells_sent_total", "Sleeping processes woken by mail."},
    [IPC_MAIL_BELLS_SAVED_FLAG] = {"cserver_mail_bells_saved_flag_total",
                                   "Bells not rung because one was on its way."},
    [IPC_MAIL_BELLS_SAVED_RUNNING] = {"cserver_mail_bells_saved_running_total",
                                      "Bells not rung because the process was awake."},
    [IPC_MAIL_BELLS_HEARD] = {"cserver_mail_bells_heard_total",
                              "Bells that a process has answered."},
    [IPC_MAIL_BELLS_FUTILE] = {"cserver_mail_bells_futile_total",
                               "Bells answered by a process that found no mail."},
    [IPC_MAIL_RECOVERED] = {"cserver_mail_recovered_total",
                            "Times the lock of the mail was taken over from a dead process."},
    [IPC_MAIL_CORRUPT] = {"cserver_mail_corrupt_total", "Messages found damaged in the ring."},
};

static const struct mailstat_name histograms[IPC_MAIL_HISTOGRAMS] = {
    [IPC_MAIL_LATENCY] = {"cserver_mail_latency_seconds",
                          "Time from publishing a message to the call of its handler."},
    [IPC_MAIL_CALLBACK] = {"cserver_mail_handler_seconds", "Time that handlers of messages took."},
};

const struct mailstat_name *mailstat_counter(enum ipc_mail_counter c)
{
    check((unsigned)c < IPC_MAIL_COUNTERS);
    return &counters[c];
}

const struct mailstat_name *mailstat_histogram(enum ipc_mail_histogram h)
{
    check((unsigned)h < IPC_MAIL_HISTOGRAMS);
    return &histograms[h];
}

const char *mailstat_state_name(enum ipc_mail_state s)
{
    static const char *const names[IPC_MAIL_STATES] = {
        [IPC_MAIL_OUT] = "out",   [IPC_MAIL_LIVE] = "live",       [IPC_MAIL_LAGGING] = "lagging",
        [IPC_MAIL_HELD] = "held", [IPC_MAIL_FORFEIT] = "forfeit",
    };
    return (unsigned)s < IPC_MAIL_STATES ? names[s] : "unknown";
}

static uint64_t get(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

uint64_t mailstat_get(const struct region *r, int slot, enum ipc_mail_counter c)
{
    check(slot >= 0 && (unsigned)slot < r->nslots && (unsigned)c < IPC_MAIL_COUNTERS);
    return get(&r->mailboxes[slot].counters[c]);
}

uint64_t mailstat_sum(const struct region *r, enum ipc_mail_counter c)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->nslots; i++)
        sum += mailstat_get(r, (int)i, c);
    return sum;
}

uint64_t mailstat_lag(const struct region *r, int slot)
{
    const struct ipc_mail_slot *s = &r->mailboxes[slot];
    if (atomic_load_explicit(&s->state, memory_order_relaxed) == IPC_MAIL_OUT)
        return 0;
    uint64_t cursor = atomic_load_explicit(&s->cursor, memory_order_acquire);
    return ring_head(r) - cursor; /* the head is read last: never less than the cursor */
}

struct mailstat_topic mailstat_topic(const struct region *r, unsigned topic)
{
    check(topic < IPC_TOPICS);
    const struct ipc_topic *t = &r->topics[topic];
    struct mailstat_topic sum = {.published = get(&t->published), .bytes = get(&t->bytes)};
    for (unsigned i = 0; i < r->nslots; i++) {
        sum.delivered += get(&r->mailboxes[i].delivered[topic]);
        sum.lost += get(&r->mailboxes[i].lost[topic]);
    }
    return sum;
}
