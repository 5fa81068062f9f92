#include "kit/others.h"

#include "api/cserver/cserver.h"
#include "base/check.h"
#include "ipc/member.h"
#include "ipc/postmaster.h"
#include "ipc/topic.h"

#include <string.h>

#define MAX_MESSAGES 64
#define MAX_US       1000000 /* the clock stands still */

int others_slot(int number)
{
    return number == 0 ? IPC_SLOT_PRIMARY_A : IPC_SLOT_WORKERS + number - 1;
}

/* An answer to a question of the test. All else is only taken. */
static void on_message(void *other, const struct mail_message *m)
{
    struct others *o = ((struct other *)other)->all;
    if (m->topic != o->answers || m->call != o->asked || o->answered)
        return;
    o->answered = true;
    buf_clear(&o->answer);
    buf_add(&o->answer, m->data, m->len);
}

static void on_master_message(void *arg, const struct mail_message *m)
{
    (void)arg, (void)m;
}

static void join(struct mailbox *mail, struct ipc_slot *slot)
{
    atomic_fetch_add(&slot->incarnation, 1);
    atomic_store(&slot->generation, 1);
    check(mailbox_join(mail) == 0);
    atomic_store(&slot->state, IPC_READY);
}

static void come(struct other *x)
{
    struct region *r = x->all->region;
    int slot = others_slot(x->number);
    mailbox_init(&x->mail, r, slot, on_message, x);
    for (unsigned t = 0; t < IPC_TOPICS; t++)
        if (x->all->topics[t / 64] >> t % 64 & 1)
            mailbox_subscribe(&x->mail, t, true);
    mailbox_subscribe(&x->mail, x->all->answers, true);
    join(&x->mail, region_slot(r, slot));
    x->there = true;
    x->stalled = false;
}

static void go(struct other *x)
{
    mailbox_leave(&x->mail);
    atomic_store(&region_slot(x->all->region, others_slot(x->number))->state, IPC_FREE);
    x->there = false;
}

/* Bells are signals in the server; here nobody sleeps. */
void others_open(struct others *o, struct region *r)
{
    struct topic_spec members = {
        .name = MEMBER_TOPIC, .owner = "cserver", .max_len = sizeof(struct member_event)};
    struct topic_spec answers = {
        .name = "cserver.answers", .owner = "cserver", .max_len = IPC_MAIL_MAX};
    *o = (struct others){.region = r};
    o->members = (unsigned)topic_new(r, &members);
    o->answers = (unsigned)topic_new(r, &answers);
    atomic_store(&r->mail->doorbell, IPC_DOORBELL_EVENTFD);
    for (int i = 0; i <= OTHERS_WORKERS; i++) {
        o->each[i].all = o;
        o->each[i].number = i;
    }
    mailbox_init(&o->master, r, IPC_SLOT_MASTER, on_master_message, o);
    join(&o->master, region_slot(r, IPC_SLOT_MASTER));
    check(postmaster_hold(r) == 0);
}

void others_take(struct others *o, unsigned topic)
{
    o->topics[topic / 64] |= (uint64_t)1 << topic % 64;
}

void others_settle(struct others *o, int own, int n)
{
    for (int i = 0; i <= OTHERS_WORKERS; i++) {
        bool wanted = i != own && i <= n;
        if (o->each[i].there && !wanted)
            go(&o->each[i]);
        else if (!o->each[i].there && wanted)
            come(&o->each[i]);
    }
}

void others_close(struct others *o)
{
    for (int i = 0; i <= OTHERS_WORKERS; i++)
        if (o->each[i].there)
            go(&o->each[i]);
    mailbox_leave(&o->master);
    buf_free(&o->answer);
}

static bool drain(struct mailbox *mail)
{
    if (mailbox_wait_ms(mail) != 0)
        return false;
    mailbox_drain(mail, MAX_MESSAGES, MAX_US);
    return true;
}

bool others_drain(struct others *o)
{
    bool moved = drain(&o->master);
    for (int i = 0; i <= OTHERS_WORKERS; i++)
        if (o->each[i].there && !o->each[i].stalled)
            moved |= drain(&o->each[i].mail);
    return moved;
}

struct mailbox *others_mailbox(struct others *o, int number)
{
    if (number == CS_FROM_COMMAND)
        return &o->master;
    if (number < 0 || number > OTHERS_WORKERS || !o->each[number].there)
        return NULL;
    return &o->each[number].mail;
}

void others_tell(struct others *o, int number, bool left, int signal)
{
    struct ipc_slot *slot = region_slot(o->region, others_slot(number));
    struct member_event e = {.slot = others_slot(number), .left = left, .signal = signal};
    if (left)
        go(&o->each[number]);
    else
        come(&o->each[number]);
    e.incarnation = atomic_load(&slot->incarnation);
    mailbox_publish(&o->master, o->members, (struct mail_target){.to = MAIL_ALL}, &e, sizeof e,
                    NULL);
}
