#include "serve/mail_metrics.h"

#include "base/check.h"
#include "ipc/mailstat.h"
#include "ipc/ring.h"
#include "ipc/topic.h"

static uint64_t load64(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static enum ipc_mail_state state_of(const struct region *r, int slot)
{
    return (enum ipc_mail_state)atomic_load_explicit(&r->mailboxes[slot].state,
                                                     memory_order_relaxed);
}

/* ---- Processes ---- */

/* Who has joined once, and a place that is kept for the first primary. */
static bool took_part(const struct region *r, int slot)
{
    return state_of(r, slot) != IPC_MAIL_OUT ||
           atomic_load_explicit(&r->mailboxes[slot].incarnation, memory_order_relaxed);
}

/* The master seldom does more than send. */
static bool has_handlers(const struct region *r, int slot)
{
    return took_part(r, slot) &&
           (slot != IPC_SLOT_MASTER || mailstat_get(r, slot, IPC_MAIL_DELIVERED));
}

static void put_counters(const struct owners *all, struct publisher *p)
{
    for (int c = 0; c < IPC_MAIL_COUNTERS; c++) {
        const struct mailstat_name *n = mailstat_counter((enum ipc_mail_counter)c);
        for (struct owner o = OWNER_NONE; owner_next(all, &o);)
            publisher_put(p, (cs_metric){.kind = CS_METRIC_COUNTER,
                                         .name = n->name,
                                         .help = n->help,
                                         .nlabels = 2,
                                         .labels = o.labels,
                                         .value = (int64_t)mailstat_get(all->region, o.slot,
                                                                        (enum ipc_mail_counter)c)});
    }
}

static void put_histograms(const struct owners *all, struct publisher *p)
{
    for (int h = 0; h < IPC_MAIL_HISTOGRAMS; h++) {
        const struct mailstat_name *n = mailstat_histogram((enum ipc_mail_histogram)h);
        for (struct owner o = OWNER_NONE; owner_next(all, &o);)
            publisher_histogram(
                p, (cs_metric){.name = n->name, .help = n->help, .nlabels = 2, .labels = o.labels},
                &all->region->mailboxes[o.slot].histograms[h]);
    }
}

/* Counts that belong together are read one after the other, so a difference may for a moment seem to be below 0. */
static int64_t backlog(const struct region *r, int slot)
{
    int64_t sum = 0;
    if (state_of(r, slot) == IPC_MAIL_OUT)
        return 0;
    for (unsigned t = 0; topic_get(r, t); t++) {
        int64_t owed = ring_takes(&r->mailboxes[slot], t) ? (int64_t)topic_owed(r, slot, t) : 0;
        sum += owed > 0 ? owed : 0;
    }
    return sum;
}

static int64_t lag(const struct region *r, int slot)
{
    return (int64_t)mailstat_lag(r, slot);
}

static int64_t lag_peak(const struct region *r, int slot)
{
    return (int64_t)load64(&r->mailboxes[slot].lag_max);
}

static int64_t is_lagging(const struct region *r, int slot)
{
    enum ipc_mail_state state = state_of(r, slot);
    return state == IPC_MAIL_LAGGING || state == IPC_MAIL_FORFEIT;
}

static int64_t outbox(const struct region *r, int slot)
{
    return (int64_t)load64(&r->mailboxes[slot].outbox);
}

static int64_t outbox_peak(const struct region *r, int slot)
{
    return (int64_t)load64(&r->mailboxes[slot].outbox_max);
}

static void put_gauges(const struct owners *all, struct publisher *p)
{
    owners_gauge(all, p, "cserver_mail_backlog",
                 "Messages for a process that it has neither had nor been told to have lost.",
                 backlog);
    owners_gauge(all, p, "cserver_mail_lag",
                 "Cells of the ring that a process has not looked at yet; nobody wakes it for "
                 "messages that are for others.",
                 lag);
    owners_gauge(all, p, "cserver_mail_lag_peak", "The most that cserver_mail_lag has been.",
                 lag_peak);
    owners_gauge(all, p, "cserver_mail_lagging",
                 "1 while a process is so far behind that nobody waits for it.", is_lagging);
    owners_gauge(all, p, "cserver_mail_outbox_bytes",
                 "Messages of a process that wait for room in the ring.", outbox);
    owners_gauge(all, p, "cserver_mail_outbox_peak_bytes",
                 "The most that cserver_mail_outbox_bytes has been.", outbox_peak);
}

/* ---- Topics ---- */

struct topic_family {
    const char *name, *help;
    size_t at; /* of the number, in struct mailstat_topic */
};

static const struct topic_family topic_families[] = {
    {"cserver_topic_published_total", "Messages published, by all processes.",
     offsetof(struct mailstat_topic, published)},
    {"cserver_topic_bytes_total", "Bytes of those messages.",
     offsetof(struct mailstat_topic, bytes)},
    {"cserver_topic_delivered_total", "Messages handed to handlers, once for each process.",
     offsetof(struct mailstat_topic, delivered)},
    {"cserver_topic_lost_total", "Messages missed and reported, once for each process.",
     offsetof(struct mailstat_topic, lost)},
};

static void put_topics(const struct region *r, struct publisher *p)
{
    struct mailstat_topic sums[IPC_TOPICS];
    unsigned n = 0;
    for (; topic_get(r, n); n++)
        sums[n] = mailstat_topic(r, n);
    for (size_t f = 0; f < ARRAY_LEN(topic_families); f++)
        for (unsigned t = 0; t < n; t++) {
            const cs_str labels[] = {CS_S("topic"), str_of(r->topics[t].name)};
            uint64_t value;
            memcpy(&value, (const char *)&sums[t] + topic_families[f].at, sizeof value);
            publisher_put(p, (cs_metric){.kind = CS_METRIC_COUNTER,
                                         .name = topic_families[f].name,
                                         .help = topic_families[f].help,
                                         .nlabels = 2,
                                         .labels = labels,
                                         .value = (int64_t)value});
        }
}

/* ---- The whole ---- */

static void put_mail(const struct ipc_mail *mail, struct publisher *p)
{
    publisher_counter(p, "cserver_mail_messages_total", "Messages that have been in the ring.",
                      load64(&mail->seq));
    publisher_counter(p, "cserver_mail_evictions_total",
                      "Times that a process was so slow that the others went on without it.",
                      load64(&mail->evictions));
    publisher_gauge(p, "cserver_mail_ring_cells", "Size of the ring, in cells of 128 bytes.",
                    mail->cells);
    publisher_gauge(p, "cserver_mail_broken",
                    "1 when the lock of the mail cannot be recovered: no messages until the next "
                    "restart.",
                    atomic_load_explicit(&mail->broken, memory_order_relaxed));
}

void mail_metrics_put(const struct region *r, struct publisher *p)
{
    const struct owners all = {r, took_part}, with_handlers = {r, has_handlers};
    put_mail(r->mail, p);
    put_counters(&all, p);
    put_gauges(&all, p);
    put_histograms(&with_handlers, p);
    put_topics(r, p);
}
