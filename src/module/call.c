/* call.c - see call.h.
 *
 * A callback may do anything, also end what it is called for: whatever is looked at after it is looked at anew. */
#include "module/call.h"

#include "base/check.h"
#include "base/mem.h"
#include "module/crumb.h"
#include "module/post.h"

#include <stdlib.h>

/* Who waits: for an answer (call is not 0), or until all have applied a message. */
struct waiting {
    struct list node; /* in host.calls */
    struct host *host;
    struct timer limit;
    struct mail_receipt receipt; /* of publish_applied */
    uint32_t call;
    cs_topic *topic;
    int slot;             /* IPC_SLOT_... that was asked */
    uint32_t incarnation; /* of it; 0: whichever, before the message `seq` */
    uint64_t seq;
    void (*answered)(int result, const cs_msg *answer, void *arg);
    void (*applied)(int result, void *arg);
    void *arg;
    unsigned module; /* whose callback it is */
};

static void forget(struct waiting *w)
{
    timer_clear(&w->host->loop->timers, &w->limit);
    mailbox_forget(&w->host->mail, &w->receipt);
    list_remove(&w->node);
    free(w);
}

static void finish(struct waiting *w, int result, const cs_msg *answer)
{
    struct waiting done = *w;
    forget(w);
    if (crumb_is_quarantined(done.module))
        return;
    host_enter(done.host);
    uint32_t was = crumb_enter(done.module, CRUMB_DONE);
    if (done.applied)
        done.applied(result, done.arg);
    else
        done.answered(result, answer, done.arg);
    crumb_leave(was);
}

static void on_limit(struct timer *t)
{
    finish(CONTAINER_OF(t, struct waiting, limit), CS_TIMEOUT, NULL);
}

static void on_applied(struct mail_receipt *r)
{
    int result = r->state == MAIL_RECEIPT_DROPPED ? CS_CLOSED : CS_OK;
    finish(CONTAINER_OF(r, struct waiting, receipt), result, NULL);
}

static struct waiting *wait_for(struct host *h, int64_t timeout_ms, void *arg)
{
    struct waiting *w = mem_alloc(sizeof *w);
    *w = (struct waiting){.host = h, .arg = arg, .module = crumb_module()};
    timer_init(&w->limit, on_limit);
    timer_set(&h->loop->timers, &w->limit, timeout_ms < 1 ? 1 : (uint64_t)timeout_ms);
    list_add_tail(&h->calls, &w->node);
    return w;
}

int call_publish_applied(cs_topic *t, int to, const void *data, size_t len, int64_t timeout_ms,
                         void (*done)(int result, void *arg), void *arg)
{
    struct host *h = host_here();
    struct mail_target target;
    check(h && t && done);
    if (h->closing || !post_target(to, &target))
        return CS_CLOSED;
    struct waiting *w = wait_for(h, timeout_ms, arg);
    w->applied = done;
    w->receipt.on_applied = on_applied;
    int rc = post_result(mailbox_publish(&h->mail, t->number, target, data, len, &w->receipt));
    if (rc != CS_OK)
        forget(w);
    return rc;
}

static uint32_t next_call(struct host *h)
{
    if (++h->last_call == 0)
        h->last_call = 1;
    return h->last_call;
}

int call_begin(cs_topic *t, int to, const void *data, size_t len, int64_t timeout_ms,
               void (*done)(int result, const cs_msg *answer, void *arg), void *arg)
{
    struct host *h = host_here();
    struct mail_target target;
    check(h && t && done);
    if (h->closing || (to < 0 && to != CS_TO_PRIMARY) || !post_target(to, &target))
        return CS_CLOSED;
    target.call = next_call(h);
    if (target.to >= (int)h->region->nslots)
        return CS_CLOSED;
    if (target.to >= 0)
        target.incarnation = atomic_load(&region_slot(h->region, target.to)->incarnation);
    int rc = post_result(mailbox_publish(&h->mail, t->number, target, data, len, NULL));
    if (rc != CS_OK)
        return rc;
    struct waiting *w = wait_for(h, timeout_ms, arg);
    w->answered = done;
    w->call = target.call;
    w->topic = t;
    w->slot = target.to >= 0 ? target.to : IPC_SLOT_PRIMARY_A;
    w->incarnation = target.incarnation;
    w->seq = atomic_load(&h->region->mail->seq);
    return CS_OK;
}

void call_drop(const void *arg)
{
    LIST_EACH(it, &host_here()->calls)
    {
        struct waiting *w = CONTAINER_OF(it, struct waiting, node);
        if (w->arg == arg) {
            forget(w);
            return;
        }
    }
}

static struct waiting *find_call(const struct host *h, uint32_t call)
{
    LIST_EACH(it, &h->calls)
    {
        struct waiting *w = CONTAINER_OF(it, struct waiting, node);
        if (w->call == call)
            return w;
    }
    return NULL;
}

void call_take_answer(struct host *h, const struct mail_message *m)
{
    struct waiting *w = m->call ? find_call(h, m->call) : NULL;
    if (!w)
        return;
    cs_msg answer = post_message(m, w->topic);
    answer.call = 0;
    finish(w, CS_OK, &answer);
}

/* Who asked the primary after it had died has asked its successor. */
static bool has_asked(const struct waiting *w, const struct member_event *e, uint64_t seq)
{
    if (!w->call || w->slot != e->slot)
        return false;
    return w->incarnation ? w->incarnation == e->incarnation : w->seq < seq;
}

static struct waiting *find_asked(const struct host *h, const struct member_event *e, uint64_t seq)
{
    LIST_EACH(it, &h->calls)
    {
        struct waiting *w = CONTAINER_OF(it, struct waiting, node);
        if (has_asked(w, e, seq))
            return w;
    }
    return NULL;
}

void call_end_of(struct host *h, const struct member_event *e, uint64_t seq)
{
    struct waiting *w;
    while ((w = find_asked(h, e, seq)))
        finish(w, CS_CLOSED, NULL);
}

void call_end_all(struct host *h)
{
    struct list *node;
    h->closing = true;
    while ((node = list_first(&h->calls)))
        finish(CONTAINER_OF(node, struct waiting, node), CS_CLOSED, NULL);
}
