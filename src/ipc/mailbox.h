/* mailbox.h - messages between the processes of one server: ordered, numbered, never silently lost.
 *
 * One ring in shared memory (ring.h), a cursor per process, a bell for who sleeps (doorbell.h), names and latest values
 * (topic.h), a queue for what does not fit (outbox.h), and the master's care for the slow and the dead (postmaster.h).
 * No call here blocks, but mailbox_join. One struct mailbox per process; nothing here is for a second thread.
 *
 * The life of a process with mail:
 *
 *   mailbox_init, mailbox_subscribe ..., mailbox_join     after the fork, before the first drain
 *   mailbox_drain                                         once before it accepts: latest values come first
 *   each turn of its loop:
 *       read the descriptors that were ready              signalfd, bell
 *       mailbox_drain                                     always between that and parking: it answers the bell
 *       turn_park (or mailbox_park)                       from here on the bell is rung
 *       mailbox_wait_ms                                   the second look: -1 sleep, 0 do not, else at most so long
 *       epoll_wait
 *       turn_wake (or mailbox_wake)
 *   mailbox_leave                                         at a clean end; the master does it for the killed
 *
 * Guarantees:
 *   Order         Positions are given under one lock: all receivers see the same order. What one process publishes stays
 *                 in order. What it publishes after it got a message comes after that message everywhere.
 *   Once          A message is delivered at most once to an incarnation, from the loop, never nested in another callback
 *                 or in mailbox_publish, and from private memory. It counts as taken before the callback: a successor
 *                 does not meet the message that killed its predecessor.
 *   From when     A process gets what was committed after its join. Before that come the latest values of its topics that
 *                 keep one: for each exactly the last message committed before the join, if it was meant for its kind,
 *                 so there is no gap and nothing twice. One value is kept for all: who sends a topic now to the primary
 *                 and then to the workers keeps only the later one. A value that was for one slot is not kept.
 *   The primary   takes over the place of its predecessor: the successor's first message is the one behind the last that
 *                 the predecessor took. What the predecessor had taken and not finished, or got as its own incarnation,
 *                 is reported to the successor as lost. Of topics with a latest value it gets that, like anybody born.
 *   Losing        Every message is delivered, or refused to its sender, or reported to its receiver: one that is too slow
 *                 for too long is evicted (postmaster.h), goes on from the head and first gets, for each topic with
 *                 something missed, one message with `lost` set to the exact number: with the latest value where the
 *                 topic keeps one (and it was missed), else with no data. Only such messages have `lost` set.
 *                 What dies with a sender's outbox was never sent.
 *
 * Invariants (tests/model/mailbox.pml, tests/unit/ipc/mailbox_test.c, mailbox_threads.c):
 *   M1  the cursor of a live process <= head <= the slowest such cursor + the ring's cells
 *   M2  a record in [cursor, head) of a live process is whole and is not overwritten
 *   M3  no process sleeps with mail for it, with no bell pending and nobody about to ring it
 *   M4  no process sleeps with mail in its outbox that would fit, and nobody about to ring it
 *   M5  all receivers see one order, without gaps but those reported
 *   M6  a process may be killed at any instruction: M1-M5 hold after postmaster_bury
 *   M7  what was published for a process = delivered + lost (topic_owed is 0 when it has nothing left to read)
 *   M8  to publish takes at most RING_SPIN_US, a copy, and a look at each slot */
#ifndef IPC_MAILBOX_H
#define IPC_MAILBOX_H

#include "base/list.h"
#include "ipc/outbox.h"
#include "ipc/region.h"
#include "ipc/ring.h"

#include <stdbool.h>

#define MAILBOX_HOPS                                                                               \
    16 /* a message published in answer to a message has one more; more are a loop */

enum mail_result {
    MAIL_SENT,    /* in the ring */
    MAIL_QUEUED,  /* in the outbox: it goes out from mailbox_drain, in order */
    MAIL_AGAIN,   /* the outbox is full: try later, or drop it */
    MAIL_TOOBIG,  /* more than the topic takes: put it elsewhere and send its name */
    MAIL_LOOP,    /* too many hops */
    MAIL_UNKNOWN, /* no such topic, or no such slot */
    MAIL_NOBODY,  /* that incarnation is gone or does not take the topic; or there is no primary */
    MAIL_BROKEN   /* the lock cannot be recovered: no more mail until the next restart */
};

struct mail_target {
    int to;               /* enum mail_group, or a slot (IPC_SLOT_MASTER is one) */
    uint32_t incarnation; /* of that slot; 0: whoever is there now */
    uint32_t call;        /* handed on with the message: 0, or what its answer repeats */
};

struct mail_message {
    unsigned topic;
    const void *data; /* until the callback returns; aligned for anything */
    size_t len;
    int from_slot; /* -1: nobody has sent it, it is a report of what was lost */
    uint32_t from_incarnation;
    uint64_t seq; /* of all messages of the server, from 1 */
    uint64_t
        number; /* of the messages of this topic, from 1: without gaps where a topic always goes to the same */
    uint64_t sent_us; /* monotonic, when mailbox_publish was called */
    unsigned hops;
    uint32_t call;
    bool retained; /* the latest value of before */
    uint64_t lost; /* 0, or so many messages of the topic were missed: see above */
};

/* Follows one message until all it was for have handled it: their callbacks have returned. Owned by the caller, who
 * keeps it until on_applied, or calls mailbox_forget. */
struct mail_receipt {
    void (*on_applied)(
        struct mail_receipt
            *r); /* from mailbox_drain. NULL: the caller only asks mailbox_unapplied */
    enum {
        MAIL_RECEIPT_QUEUED,
        MAIL_RECEIPT_SENT,
        MAIL_RECEIPT_DROPPED /* left the outbox and found nobody */
    } state;
    struct ipc_mail_record rec; /* as committed, when SENT */
    struct list node;
};

struct mailbox {
    struct region *region;
    struct ipc_mail_slot *me;
    int slot;
    uint32_t incarnation;
    bool joined, calling, busy, broken;
    unsigned hops; /* of the message in the callback, plus one */
    uint64_t cursor;
    uint64_t woken_us; /* when it last woke those who wait for room */
    void (*on_message)(void *arg, const struct mail_message *m);
    void (*on_watched)(void *arg, const struct ipc_mail_record *rec, const void *data);
    void *arg;
    struct outbox outbox;
    struct list receipts;
    struct mail_news *news, **last_news; /* latest values and reports not yet delivered */
    uint64_t since[IPC_TOPICS];          /* older records of the topic are not for us */
    uint64_t topics[IPC_TOPICS / 64];
    uint64_t *buffer; /* one message */
};

/* on_message gets every message; it may publish and subscribe, not drain or leave. */
void mailbox_init(struct mailbox *mb, struct region *r, int slot,
                  void (*on_message)(void *arg, const struct mail_message *m), void *arg);
/* Begins (or ends) to take a topic. Before mailbox_join always 0; after it, what is committed from now on, and -EAGAIN
 * when the lock is taken at the moment. */
int mailbox_subscribe(struct mailbox *mb, unsigned topic, bool on);
/* The master only: begins (or ends) to see all messages of a topic, whomever they are for, by on_watched, which is set
 * after mailbox_init. That makes it no receiver: nobody waits until it has handled them, and what it misses after an
 * eviction is not reported, but seen by the numbers. What is committed from now on, and perhaps a little before. */
void mailbox_watch(struct mailbox *mb, unsigned topic, bool on);
/* Takes part, as the incarnation that the slot says. Waits while a holder of the lock has been stopped, at most 10 s:
 * -ETIMEDOUT. -EBUSY: the slot's last process, or another primary, has not been buried. -ENOTRECOVERABLE: there is no
 * mail until the next restart; all calls may be made, nothing is sent (MAIL_BROKEN) and nothing comes. */
int mailbox_join(struct mailbox *mb);
/* Ends it and frees what it has. The number of messages that were still in the outbox and are not sent (counted). */
unsigned mailbox_leave(struct mailbox *mb);

/* Copies `len` bytes (0 is fine). receipt: NULL, or zero but for on_applied; it is in use when the result is MAIL_SENT
 * or MAIL_QUEUED. */
enum mail_result mailbox_publish(struct mailbox *mb, unsigned topic, struct mail_target target,
                                 const void *data, size_t len, struct mail_receipt *receipt);

/* Sends what waits in the outbox, then delivers at most max_messages and for at most max_us (one message more, and
 * latest values and reports always); calls on_applied, for at most max_messages. The number of messages delivered. */
unsigned mailbox_drain(struct mailbox *mb, unsigned max_messages, unsigned max_us);
/* Will the next drain call anybody, or hear a bell? Who may not be called just now asks this first. */
bool mailbox_has_work(const struct mailbox *mb);
/* After parking: may it sleep? -1: until an event; 0: drain again; else at most so many milliseconds. */
int mailbox_wait_ms(struct mailbox *mb);
/* Before and after epoll_wait, for processes that take no accept turns. */
void mailbox_park(struct mailbox *mb);
void mailbox_wake(struct mailbox *mb);
static inline bool mailbox_outbox_empty(const struct mailbox *mb)
{
    return outbox_first(&mb->outbox) == NULL;
}

/* Who has yet to handle the message: the number of slots, the first `room` of them in `slots`. Live processes, draining
 * ones too, and a primary's place that is held; who has joined later or has died does not count. A message that is still
 * in the outbox is held up by its sender. */
unsigned mailbox_unapplied(const struct mailbox *mb, const struct mail_receipt *r, int *slots,
                           unsigned room);
void mailbox_forget(struct mailbox *mb, struct mail_receipt *r);

const char *mailbox_result_name(enum mail_result r);

#endif
