/* msg.h - messages for the command line: the master sends what `cserver msg send` is given, waits for it until all have
 * handled it (applied.c), and passes on what `cserver msg tail` watches (tail.c).
 *
 * A tail that reads slowly has MSG_QUEUE bytes of lines waiting; what comes beyond that is counted, and when it has
 * caught up it gets one line {"missed":N}. So it holds up neither the master nor the mail. */
#ifndef PROC_MSG_H
#define PROC_MSG_H

#include "base/json.h"
#include "event/timer.h"
#include "ipc/mailbox.h"
#include "proc/control.h"

#define MSG_TAILS 32 /* at once, of all topics together */
#define MSG_WAITS 64 /* messages that are waited for at once */
#define MSG_QUEUE                                                                                  \
    (2u << 20) /* bytes of lines that a tail may leave unread: what fits into the ring, in JSON */

/* Bytes in the master's own queue, from which on it sends nothing for others: the rest is for what it has to say itself. */
#define MSG_OUTBOX (3u << 20)

struct master;
struct inquest;

struct msg {
    struct list waits, tails;
    unsigned nwaits, ntails;
    struct timer audit; /* of tails */
};

/* Before the master joins the mail. */
void msg_init(struct master *m);
/* Answers all who wait or watch: the server ends. */
void msg_end(struct master *m);
/* A message has come to the master, which takes no topic. From mailbox_drain. */
void msg_on_message(struct master *m, const struct mail_message *mail);

/* Requests; `object` is the JSON object behind the word, or empty.
 *   topics
 *   send {"topic":"...","data":"..." or {"base64":"..."},"to":"all","wait":"applied","timeout_ms":5000}
 *   tail {"topic":"..."}    {"tail":"..."}, then a line for each message; the answer comes when the server ends */
void msg_topics(struct master *m, struct control_call *call, cs_str object);
void msg_send(struct master *m, struct control_call *call, cs_str object);
void msg_tail(struct master *m, struct control_call *call, cs_str object);

/* The topic that the request names. -1: it has been answered, since there is none. */
int msg_find_topic(struct master *m, struct control_call *call, cs_str object);

/* "worker 2 (pid 4713, ready, stopped (T))" */
void msg_describe(const struct master *m, int slot, struct buf *out);

/* ---- What msg.c, applied.c and tail.c need of each other ---- */

struct msg_request {
    unsigned topic;
    const char *name; /* of the topic */
    struct mail_target target;
    struct buf data;
    bool applied;
    uint64_t timeout_ms; /* 0: none */
};

/* Why nobody is there for it, in a sentence. */
void msg_explain_nobody(const struct master *m, const struct msg_request *r, struct buf *out);
/* Its number and seq, once it has been sent. */
void msg_put_number(struct json *j, const struct mail_receipt *receipt);

/* The answer comes later where the result is MAIL_SENT or MAIL_QUEUED. */
enum mail_result applied_publish(struct master *m, struct control_call *call,
                                 const struct msg_request *r);
/* A process has died, and is not buried yet: who waits for it is told. */
void applied_died(struct master *m, int slot, int pid, const struct inquest *q);
void applied_init(struct master *m);
void applied_end(struct master *m);
void tail_init(struct master *m);
void tail_end(struct master *m);

#endif
