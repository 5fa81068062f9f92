/* messages.c - what a test sends in the name of other processes, and what it sees of the module's own messages. */
#include "kit/kit.h"

#include "ipc/topic.h"

static unsigned topic_number(const struct cst *t, const char *name)
{
    int number = topic_find(&t->region, name);
    if (number < 0)
        kit_die("there is no topic \"%s\": no module of this test declares it", name);
    return (unsigned)number;
}

/* Of another process, or this one's own. */
static struct mailbox *mailbox_of(struct cst *t, int process)
{
    bool own = process == t->wish.number && t->started;
    struct mailbox *mail = own ? &t->host.mail : others_mailbox(&t->others, process);
    if (!mail)
        kit_die("there is no process %d: there are 0, the primary, and the workers 1 to %d",
                process, t->wish.workers);
    return mail;
}

static int result_of(enum mail_result rc)
{
    switch (rc) {
    case MAIL_SENT:
    case MAIL_QUEUED:
        return CS_OK;
    case MAIL_AGAIN:
        return CS_AGAIN;
    case MAIL_TOOBIG:
        return CS_TOOBIG;
    case MAIL_LOOP:
        return CS_LOOP;
    case MAIL_UNKNOWN:
    case MAIL_NOBODY:
        return CS_CLOSED;
    case MAIL_BROKEN:
        break;
    }
    return CS_ERROR;
}

int cst_message_str(struct cst *t, int process, const char *topic, cs_str data)
{
    unsigned number = topic_number(t, topic);
    enum mail_result rc = mailbox_publish(
        mailbox_of(t, process), number, (struct mail_target){.to = MAIL_ALL}, data.p, data.n, NULL);
    kit_run(t);
    return result_of(rc);
}

cs_str cst_call_str(struct cst *t, int process, const char *topic, cs_str data)
{
    unsigned number = topic_number(t, topic);
    struct others *o = &t->others;
    int slot = others_slot(t->wish.number);
    struct mail_target target = {.to = slot,
                                 .incarnation =
                                     atomic_load(&region_slot(&t->region, slot)->incarnation),
                                 .call = ++o->asked};
    if (process == t->wish.number || process < 0)
        kit_die("cst_call: process %d can ask nothing", process);
    o->answered = false;
    int rc =
        result_of(mailbox_publish(mailbox_of(t, process), number, target, data.p, data.n, NULL));
    if (rc != CS_OK)
        kit_die("cst_call: the message does not go out (%d)", rc);
    kit_run(t);
    if (!o->answered)
        return (cs_str){0};
    return arena_dup(&t->arena, o->answer.n ? buf_str(&o->answer) : CS_S(""));
}

size_t cst_published_count(const struct cst *t)
{
    return t->npublished;
}

const cst_published *cst_published_at(struct cst *t, size_t i)
{
    return i < t->npublished ? &t->published[i]->said : NULL;
}

void cst_answer_to_str(struct cst *t, size_t i, cs_str data)
{
    const struct kit_published *p = i < t->npublished ? t->published[i] : NULL;
    int slot = others_slot(t->wish.number);
    if (!p || !p->call)
        kit_die("cst_answer_to: message %zu is no call that has gone out", i);
    struct mail_target target = {.to = slot,
                                 .incarnation =
                                     atomic_load(&region_slot(&t->region, slot)->incarnation),
                                 .call = p->call};
    int process = p->said.to == CS_TO_PRIMARY ? 0 : p->said.to;
    mailbox_publish(mailbox_of(t, process), t->others.answers, target, data.p, data.n, NULL);
    kit_run(t);
}

/* ---- Coming and going ---- */

static struct other *other_of(struct cst *t, int process, const char *call)
{
    if (process < 0 || process > OTHERS_WORKERS)
        kit_die("%s: there is no process %d; at most %d workers are possible", call, process,
                OTHERS_WORKERS);
    if (process == t->wish.number)
        kit_die("%s: process %d is the one under test", call, process);
    return &t->others.each[process];
}

void cst_join(struct cst *t, int process)
{
    if (other_of(t, process, "cst_join")->there)
        others_tell(&t->others, process, true, 0);
    others_tell(&t->others, process, false, 0);
    kit_run(t);
}

void cst_leave(struct cst *t, int process, int signal)
{
    if (!other_of(t, process, "cst_leave")->there)
        kit_die("cst_leave: process %d is not there", process);
    others_tell(&t->others, process, true, signal);
    kit_run(t);
}

void cst_stall(struct cst *t, int process, int on)
{
    struct other *x = other_of(t, process, "cst_stall");
    if (!x->there)
        kit_die("cst_stall: process %d is not there", process);
    x->stalled = on;
}
