/* mailroom.c - the master is a member of the mail, to tell the others who comes and goes and to send what the command line
 * wants sent; and it sees to it that nobody who does not read holds the others up (postmaster.h). */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/member.h"
#include "ipc/topic.h"
#include "proc/master.h"
#include "proc/msg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_MESSAGES 256 /* of one turn of the loop */
#define MAX_US       2000

/* ---- Members ---- */

struct event {
    struct list node; /* in untold */
    struct member_event event;
};

static void drop_event(struct list *node)
{
    list_remove(node);
    free(CONTAINER_OF(node, struct event, node));
}

/* False: there is no room. */
static bool publish(struct master *m, const struct member_event *event)
{
    enum mail_result rc = mailbox_publish(
        &m->mail, m->members, (struct mail_target){.to = MAIL_ALL}, event, sizeof *event, NULL);

    if (rc != MAIL_SENT && rc != MAIL_QUEUED && rc != MAIL_BROKEN && rc != MAIL_AGAIN)
        log_warn("nobody hears that a process has %s: %s", event->left ? "ended" : "become ready",
                 mailbox_result_name(rc));
    return rc != MAIL_AGAIN;
}

/* The master waits for room as long as something is in its queue, so the loop comes back. */
static void tell_again(struct master *m)
{
    struct list *node;

    while ((node = list_first(&m->untold)) &&
           publish(m, &CONTAINER_OF(node, struct event, node)->event))
        drop_event(node);
}

static void tell(struct master *m, int slot, uint32_t left, int signal)
{
    struct event *e;
    struct member_event event = {.slot = slot,
                                 .incarnation =
                                     atomic_load(&region_slot(&m->region, slot)->incarnation),
                                 .left = left,
                                 .signal = signal};

    if (list_empty(&m->untold) && publish(m, &event))
        return;
    e = mem_alloc(sizeof *e);
    e->event = event;
    list_add_tail(&m->untold, &e->node);
}

void mailroom_joined(struct master *m, int slot)
{
    tell(m, slot, 0, 0);
}

/* The successor has another incarnation only when it is forked, which is later. */
void mailroom_left(struct master *m, int slot, bool unseen, int signal)
{
    if (unseen)
        mailroom_joined(m, slot);
    tell(m, slot, 1, signal);
}

/* Who was in the mail already may have been asked something. */
void mailroom_failed(struct master *m, int slot, int signal)
{
    uint32_t incarnation = atomic_load(&region_slot(&m->region, slot)->incarnation);

    if (atomic_load(&m->region.mailboxes[slot].incarnation) == incarnation)
        tell(m, slot, 2, signal);
}

/* ---- The master's own mailbox ---- */

static void on_message(void *master, const struct mail_message *mail)
{
    msg_on_message(master, mail);
}

void mailroom_open(struct master *m)
{
    struct topic_spec members = {
        .name = MEMBER_TOPIC, .owner = "cserver", .max_len = sizeof(struct member_event)};
    struct ipc_slot *slot = region_slot(&m->region, IPC_SLOT_MASTER);
    int rc = topic_new(&m->region, &members);

    list_init(&m->untold);
    if (rc >= 0) {
        m->members = (unsigned)rc;
        atomic_store(&slot->pid, getpid());
        atomic_store(&slot->incarnation, 1);
        mailbox_init(&m->mail, &m->region, IPC_SLOT_MASTER, on_message, m);
        msg_init(m);
        rc = mailbox_join(&m->mail);
    }
    if (rc == -ENOTRECOVERABLE)
        log_error(
            "the lock of the mailbox cannot be recovered: no messages until the next restart");
    else if (rc < 0)
        fatal(1, "cannot set up the mail between the processes: %s", strerror(-rc));
}

void mailroom_close(struct master *m)
{
    struct list *node;

    while ((node = list_first(&m->untold)))
        drop_event(node);
    mailbox_leave(&m->mail);
}

int mailroom_park(struct master *m)
{
    mailbox_drain(&m->mail, MAX_MESSAGES, MAX_US);
    tell_again(m);
    mailbox_park(&m->mail);
    return mailbox_wait_ms(&m->mail);
}

void mailroom_wake(struct master *m)
{
    mailbox_wake(&m->mail);
}

/* ---- Who does not read ---- */

static void describe(const struct master *m, int slot, char *out, size_t n)
{
    int pid = (int)atomic_load(&region_slot(&m->region, slot)->pid);

    if (slot == IPC_SLOT_MASTER)
        snprintf(out, n, "the master (pid %d)", pid);
    else if (slot >= IPC_SLOT_WORKERS)
        snprintf(out, n, "worker %d (pid %d)", region_worker(slot), pid);
    else if (pid > 0)
        snprintf(out, n, "the primary (pid %d)", pid);
    else
        snprintf(out, n, "the primary, which is still to be started,");
}

void mailroom_look(struct master *m)
{
    struct region *r = &m->region;
    uint64_t limit = (uint64_t)m->live->settings->conf->server.mailbox_stall, behind;
    uint64_t now = clock_ms();
    int slot;
    char who[64];

    mailbox_drain(&m->mail, MAX_MESSAGES,
                  MAX_US); /* it may be us who has been stopped for a while */
    slot = postmaster_look(&m->mail_watch, r, now, limit);
    if (slot < 0 || slot == IPC_SLOT_MASTER)
        return;
    describe(m, slot, who, sizeof who);
    behind = atomic_load(&r->mail->head) - atomic_load(&r->mailboxes[slot].cursor);
    log_warn("%s has taken no message for %llu ms, and is %llu%% of the mailbox behind: it is not "
             "waited for any longer, and loses what it has not read",
             who, (unsigned long long)(now - m->mail_watch.since_ms),
             (unsigned long long)(behind * 100 / r->mail->cells));
    postmaster_evict(r, slot);
}
