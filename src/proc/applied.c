/* applied.c - those who wait until a message they have sent is handled by all it is for: msg.h is the manual. */
#include "base/check.h"
#include "base/mem.h"
#include "ipc/board.h"
#include "module/crumb.h"
#include "os/procstat.h"
#include "proc/code.h"
#include "proc/command.h"
#include "proc/inquest.h"
#include "proc/master.h"
#include "proc/msgtext.h"

#include <stdlib.h>

#define LAGGARDS 256
#define SOME     6 /* are named in the sentence */

struct wait {
    struct list node; /* in msg.waits */
    struct master *master;
    struct control_call *call;
    struct msg_request request;
    struct mail_receipt receipt;
    struct timer limit;
    struct buf died;      /* elements of a JSON array: who has died without having handled it */
    struct buf died_text; /* the same in words */
    bool at_it;           /* one of them did while it handled it */
};

/* The call is left to be answered. */
static void free_wait(struct wait *w)
{
    struct master *m = w->master;

    mailbox_forget(&m->mail, &w->receipt);
    timer_clear(&m->loop.timers, &w->limit);
    list_remove(&w->node);
    buf_free(&w->died);
    buf_free(&w->died_text);
    m->msg.nwaits--;
    free(w);
}

static void on_gone(struct control_call *call)
{
    free_wait(call->keeper);
    control_answer(call, CS_S(""));
}

static void put_died(const struct wait *w, struct json *j, struct buf *text)
{
    if (w->died.n == 0)
        return;
    json_array(j, "died");
    buf_add_str(j->out, buf_str(&w->died));
    json_end_array(j);
    buf_printf(text, ", but %.*s", (int)w->died_text.n, w->died_text.p);
}

/* A message that kills is not applied, whoever else has survived it. */
static void answer_applied(struct wait *w)
{
    struct buf out = {0}, text = {0};
    struct json j;

    command_begin(w->master, &j, &out, w->at_it ? CODE_FAILED : 0);
    json_z(&j, "state", w->at_it ? "died" : "applied");
    msg_put_number(&j, &w->receipt);
    buf_printf(&text, "number %llu of %s is applied%s", (unsigned long long)w->receipt.rec.number,
               w->request.name, w->at_it ? " by the others" : "");
    put_died(w, &j, &text);
    json_str(&j, "message", buf_str(&text));
    buf_free(&text);
    command_end(w->call, &j, &out);
}

static void answer_dropped(struct wait *w)
{
    struct buf out = {0}, text = {0};
    struct json j;

    command_begin(w->master, &j, &out, CODE_FAILED);
    msg_explain_nobody(w->master, &w->request, &text);
    json_z(&j, "state", "dropped");
    json_z(&j, "message", text.p);
    buf_free(&text);
    command_end(w->call, &j, &out);
}

static void on_applied(struct mail_receipt *receipt)
{
    struct wait *w = CONTAINER_OF(receipt, struct wait, receipt);

    if (receipt->state == MAIL_RECEIPT_SENT)
        answer_applied(w);
    else
        answer_dropped(w);
    free_wait(w);
}

struct laggard {
    int slot, pid;
    const char *state;
    char process; /* as in procstat.h */
};

static struct laggard look_at(const struct master *m, int slot)
{
    const struct ipc_slot *s = region_slot(&m->region, slot);
    int pid = atomic_load(&s->pid);

    return (struct laggard){
        .slot = slot,
        .pid = pid,
        .state = pid > 0 ? board_state_name((enum ipc_state)atomic_load(&s->state)) : "waiting",
        .process = pid > 0 ? procstat_state(pid) : 0};
}

static void describe(const struct laggard *l, struct buf *out)
{
    if (l->slot >= IPC_SLOT_WORKERS)
        buf_printf(out, "worker %d", region_worker(l->slot));
    else
        buf_add_z(out, "the primary");
    if (l->pid <= 0)
        buf_add_z(out, " (about to be started)");
    else if (procstat_is_held(l->process))
        buf_printf(out, " (pid %d, %s, %s)", l->pid, l->state, procstat_words(l->process));
    else
        buf_printf(out, " (pid %d, %s)", l->pid, l->state);
}

void msg_describe(const struct master *m, int slot, struct buf *out)
{
    struct laggard l = look_at(m, slot);

    describe(&l, out);
}

static void put_laggard(struct json *j, const struct laggard *l)
{
    char name[MSGTEXT_NAME];

    msgtext_name(l->slot, name);
    json_object(j, NULL);
    json_z(j, "process", name);
    json_int(j, "pid", l->pid);
    json_z(j, "state", l->state);
    json_bool(j, "held", procstat_is_held(l->process));
    json_end_object(j);
}

/* Who has yet to handle it, in words and as "unapplied". */
static void put_laggards(const struct wait *w, struct json *j, struct buf *text)
{
    const struct master *m = w->master;
    int slots[LAGGARDS];
    unsigned n = mailbox_unapplied(&m->mail, &w->receipt, slots, LAGGARDS);

    json_array(j, "unapplied");
    for (unsigned i = 0; i < n && i < LAGGARDS; i++) {
        struct laggard l = look_at(m, slots[i]);

        put_laggard(j, &l);
        if (i >= SOME)
            continue;
        buf_add_z(text, i ? ", " : "");
        describe(&l, text);
    }
    json_end_array(j);
    if (n > SOME)
        buf_printf(text, " and %u more", n - SOME);
    buf_add_z(text, n == 1 ? " has not handled it" : " have not handled it");
}

static void on_limit(struct timer *t)
{
    struct wait *w = CONTAINER_OF(t, struct wait, limit);
    struct buf out = {0}, text = {0};
    struct json j;

    command_begin(w->master, &j, &out, CODE_LATE);
    json_z(&j, "state", w->receipt.state == MAIL_RECEIPT_SENT ? "sent" : "queued");
    msg_put_number(&j, &w->receipt);
    if (w->receipt.state == MAIL_RECEIPT_SENT) {
        buf_printf(&text, "number %llu of %s is sent, but not applied within %llu ms: ",
                   (unsigned long long)w->receipt.rec.number, w->request.name,
                   (unsigned long long)w->request.timeout_ms);
        put_laggards(w, &j, &text);
        put_died(w, &j, &text);
    } else {
        buf_printf(&text,
                   "%s has waited in the master's queue for %llu ms, since some process does not "
                   "read its messages; it still goes out in its turn",
                   w->request.name, (unsigned long long)w->request.timeout_ms);
    }
    json_z(&j, "message", text.p);
    buf_free(&text);
    command_end(w->call, &j, &out);
    free_wait(w);
}

/* ---- Who dies ---- */

static bool owes(const struct wait *w, int slot)
{
    int slots[LAGGARDS];
    unsigned n = mailbox_unapplied(&w->master->mail, &w->receipt, slots, LAGGARDS);

    for (unsigned i = 0; i < n && i < LAGGARDS; i++)
        if (slots[i] == slot)
            return w->receipt.state == MAIL_RECEIPT_SENT;
    return false;
}

static bool was_at(const struct inquest *q, const struct ipc_mail_record *rec)
{
    uint64_t seq;

    return q->at.hook == CRUMB_ON_MESSAGE && str_to_u64(str_of(q->at.seq), UINT64_MAX, &seq) &&
           seq == rec->seq;
}

static void note_death(struct wait *w, int slot, int pid, const struct inquest *q, bool at_it)
{
    struct json j = {.out = &w->died, .need_comma = w->died.n > 0};
    char name[MSGTEXT_NAME];

    msgtext_name(slot, name);
    json_object(&j, NULL);
    json_z(&j, "process", name);
    json_int(&j, "pid", pid);
    json_bool(&j, "at_it", at_it);
    json_z(&j, "how", q->short_how);
    json_end_object(&j);
    buf_add_z(&w->died_text, w->died_text.n > 0 ? ", " : "");
    if (slot >= IPC_SLOT_WORKERS)
        buf_printf(&w->died_text, "worker %d", region_worker(slot));
    else
        buf_add_z(&w->died_text, "the primary");
    buf_printf(&w->died_text, " (pid %d) %s %s", pid, q->short_how, at_it ? "at it" : "before it");
    w->at_it = w->at_it || at_it;
}

/* What a primary has not begun its successor does. */
void applied_died(struct master *m, int slot, int pid, const struct inquest *q)
{
    LIST_EACH(node, &m->msg.waits)
    {
        struct wait *w = CONTAINER_OF(node, struct wait, node);
        bool at_it = was_at(q, &w->receipt.rec);

        if (q->wrong && (at_it || slot >= IPC_SLOT_WORKERS) && owes(w, slot))
            note_death(w, slot, pid, q, at_it);
    }
}

/* ---- Beginning ---- */

static void begin(struct wait *w)
{
    struct master *m = w->master;

    m->msg.nwaits++;
    list_add_tail(&m->msg.waits, &w->node);
    control_keep(w->call);
    w->call->keeper = w;
    w->call->on_gone = on_gone;
    if (w->request.timeout_ms > 0)
        timer_set(&m->loop.timers, &w->limit, w->request.timeout_ms);
}

enum mail_result applied_publish(struct master *m, struct control_call *call,
                                 const struct msg_request *r)
{
    struct wait *w = mem_alloc(sizeof *w);
    enum mail_result rc;

    *w = (struct wait){.master = m, .call = call, .request = *r};
    w->request.data = (struct buf){0};
    w->receipt.on_applied = on_applied;
    timer_init(&w->limit, on_limit);
    rc = mailbox_publish(&m->mail, r->topic, r->target, r->data.p, r->data.n, &w->receipt);
    if (rc == MAIL_SENT || rc == MAIL_QUEUED)
        begin(w);
    else
        free(w);
    return rc;
}

/* ---- The life ---- */

void applied_init(struct master *m)
{
    list_init(&m->msg.waits);
}

void applied_end(struct master *m)
{
    LIST_EACH(it, &m->msg.waits)
    {
        struct wait *w = CONTAINER_OF(it, struct wait, node);

        command_answer(m, w->call, CODE_LATE, "the server has ended before all have handled it",
                       CS_S(""));
        free_wait(w);
    }
}
