/* tail.c - those who watch a topic through the control socket: msg.h is the manual.
 *
 * Messages of a topic are numbered without gaps, so what a tail has not been shown is a difference of numbers, whether it
 * read too slowly itself or the master was too slow for the mail. */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ipc/topic.h"
#include "proc/code.h"
#include "proc/command.h"
#include "proc/master.h"
#include "proc/msgtext.h"

#include <stdlib.h>

#define AUDIT_MS 1000

struct tail {
    struct list node; /* in msg.tails */
    struct master *master;
    struct control_call *call;
    unsigned topic;
    uint64_t last;   /* number of the last message that was shown or counted as missed */
    uint64_t missed; /* and not yet said */
    bool begun;      /* there was one */
};

/* ---- Lines ---- */

static void say_missed(struct tail *t)
{
    struct buf out = {0};
    struct json j;

    json_init(&j, &out);
    json_object(&j, NULL);
    json_int(&j, "missed", (int64_t)t->missed);
    json_end_object(&j);
    t->missed = 0;
    control_line(t->call, buf_str(&out));
    buf_free(&out);
}

static void say_missed_if_free(struct tail *t)
{
    if (t->missed > 0 && control_backlog(t->call) == 0)
        say_missed(t);
}

static void write_message(const struct master *m, const struct ipc_mail_record *rec,
                          const void *data, struct buf *out)
{
    int64_t age = (int64_t)clock_us() - (int64_t)rec->sent_us;
    char from[MSGTEXT_NAME], to[MSGTEXT_NAME];
    struct json j;

    msgtext_name(rec->from_slot, from);
    msgtext_name(rec->to, to);
    json_init(&j, out);
    json_object(&j, NULL);
    json_z(&j, "topic", topic_get(&m->region, rec->topic)->name);
    json_int(&j, "number", (int64_t)rec->number);
    json_int(&j, "seq", (int64_t)rec->seq);
    json_z(&j, "from", from);
    json_int(&j, "incarnation", rec->from_incarnation);
    json_z(&j, "to", to);
    json_int(&j, "hops", rec->hops);
    if (rec->call)
        json_int(&j, "call", rec->call);
    json_int(&j, "at_us", (int64_t)clock_wall_us() - age);
    msgtext_put_data(&j, "data", (cs_str){data, rec->len});
    json_end_object(&j);
}

/* The line is written once, for the first tail that has room. A gap is said before what follows it. */
static void show(struct tail *t, const struct ipc_mail_record *rec, const void *data,
                 struct buf *line)
{
    size_t backlog;

    if (t->begun)
        t->missed += rec->number - t->last - 1;
    t->begun = true;
    t->last = rec->number;
    say_missed_if_free(t);
    if (t->missed == 0 && line->n == 0)
        write_message(t->master, rec, data, line);
    backlog = control_backlog(t->call);
    if (t->missed > 0 || (backlog > 0 && backlog + line->n > MSG_QUEUE))
        t->missed++;
    else
        control_line(t->call, buf_str(line));
}

static void on_watched(void *master, const struct ipc_mail_record *rec, const void *data)
{
    struct master *m = master;
    struct buf line = {0};

    LIST_EACH(it, &m->msg.tails)
    {
        struct tail *t = CONTAINER_OF(it, struct tail, node);

        if (t->topic == rec->topic && rec->number > t->last)
            show(t, rec, data, &line);
    }
    buf_free(&line);
}

/* ---- What is missed at the end of a burst ---- */

/* Of what was published before the master found nothing more to read, a tail has seen all, or the master was not there
 * for it. */
static void audit(struct tail *t)
{
    const struct mailbox *mb = &t->master->mail;
    uint64_t published = atomic_load(&topic_get(mb->region, t->topic)->published);

    if (!t->begun || published <= t->last || mb->cursor != ring_head(mb->region))
        return;
    t->missed += published - t->last;
    t->last = published;
    say_missed_if_free(t);
}

static void on_audit(struct timer *timer)
{
    struct msg *msg = CONTAINER_OF(timer, struct msg, audit);
    struct master *m = CONTAINER_OF(msg, struct master, msg);

    LIST_EACH(it, &msg->tails)
    audit(CONTAINER_OF(it, struct tail, node));
    timer_set(&m->loop.timers, timer, AUDIT_MS);
}

/* ---- Beginning and ending ---- */

static bool is_watched(const struct master *m, unsigned topic)
{
    LIST_EACH(it, &m->msg.tails)
    if (CONTAINER_OF(it, struct tail, node)->topic == topic)
        return true;
    return false;
}

/* The call is left to be answered. */
static void free_tail(struct tail *t)
{
    struct master *m = t->master;

    list_remove(&t->node);
    if (!is_watched(m, t->topic))
        mailbox_watch(&m->mail, t->topic, false);
    if (--m->msg.ntails == 0)
        timer_clear(&m->loop.timers, &m->msg.audit);
    free(t);
}

static void on_gone(struct control_call *call)
{
    free_tail(call->keeper);
    control_answer(call, CS_S(""));
}

static void on_sent(struct control_call *call)
{
    say_missed_if_free(call->keeper);
}

static void say_begun(const struct tail *t)
{
    struct buf out = {0};
    struct json j;

    json_init(&j, &out);
    json_object(&j, NULL);
    json_z(&j, "tail", topic_get(&t->master->region, t->topic)->name);
    json_int(&j, "number", (int64_t)t->last);
    json_end_object(&j);
    control_line(t->call, buf_str(&out));
    buf_free(&out);
}

void msg_tail(struct master *m, struct control_call *call, cs_str object)
{
    int topic = msg_find_topic(m, call, object);
    struct tail *t;

    if (topic < 0)
        return;
    if (m->msg.ntails >= MSG_TAILS) {
        command_answer(m, call, CODE_FAILED, "too many tails are open; try again later", CS_S(""));
        return;
    }
    t = mem_alloc(sizeof *t);
    *t = (struct tail){.master = m,
                       .call = call,
                       .topic = (unsigned)topic,
                       .last = atomic_load(&topic_get(&m->region, (unsigned)topic)->published)};
    control_keep(call);
    call->keeper = t;
    call->on_gone = on_gone;
    call->on_sent = on_sent;
    list_add_tail(&m->msg.tails, &t->node);
    if (m->msg.ntails++ == 0)
        timer_set(&m->loop.timers, &m->msg.audit, AUDIT_MS);
    mailbox_watch(&m->mail, t->topic, true);
    say_begun(t);
}

void tail_init(struct master *m)
{
    list_init(&m->msg.tails);
    timer_init(&m->msg.audit, on_audit);
    m->mail.on_watched = on_watched;
}

void tail_end(struct master *m)
{
    LIST_EACH(it, &m->msg.tails)
    {
        struct tail *t = CONTAINER_OF(it, struct tail, node);

        if (t->missed > 0)
            say_missed(t);
        command_answer(m, t->call, 0, "the server has ended", CS_S(""));
        free_tail(t);
    }
}
