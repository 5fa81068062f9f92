/* mailbox_fake.h - a region with mailboxes that play all processes, and what each of them has got. */
#ifndef UNIT_IPC_MAILBOX_FAKE_H
#define UNIT_IPC_MAILBOX_FAKE_H

#include "ipc/mailbox.h"

#include "base/check.h"
#include "base/clock.h"
#include "ipc/board.h"
#include "ipc/doorbell.h"
#include "ipc/mailstat.h"
#include "ipc/postmaster.h"
#include "ipc/topic.h"
#include "os/child.h"
#include "os/fd.h"
#include "os/sig.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 3
#define W0      IPC_SLOT_WORKERS
#define A       IPC_SLOT_PRIMARY_A
#define B       IPC_SLOT_PRIMARY_B

/* Boxes of one process play all the processes: 0 master, 1 and 2 primaries, 4.. workers. */
#define BOXES (W0 + WORKERS)

struct got {
    unsigned n;
    struct mail_message last;
    uint64_t lost, last_number;
    char text[64]; /* of the last one */
};

static struct region region;
static struct mailbox boxes[BOXES];
static struct got got[BOXES][8];
static int plain, late, big;

static inline void on_message(void *arg, const struct mail_message *m)
{
    struct got *g = &got[(struct mailbox *)arg - boxes][m->topic];
    size_t n = m->len < sizeof(g->text) ? m->len : sizeof(g->text) - 1;
    g->n++;
    g->last = *m;
    g->lost += m->lost;
    g->last_number = m->number;
    if (n)
        memcpy(g->text, m->data, n);
    g->text[n] = '\0';
}

static inline void start(int slot)
{
    atomic_fetch_add(&region.slots[slot].incarnation, 1);
    mailbox_init(&boxes[slot], &region, slot, on_message, &boxes[slot]);
    mailbox_subscribe(&boxes[slot], (unsigned)plain, true);
    mailbox_subscribe(&boxes[slot], (unsigned)late, true);
    mailbox_subscribe(&boxes[slot], (unsigned)big, true);
    assert_int_equal(mailbox_join(&boxes[slot]), 0);
}

static inline int new_topic(const char *name, size_t max_len, bool latest)
{
    return topic_new(&region, &(struct topic_spec){name, "test", max_len, latest});
}

static inline int set_up(void **state)
{
    (void)state;
    if (region_new(&region, WORKERS) < 0)
        return -1;
    atomic_store(&region.mail->doorbell, IPC_DOORBELL_EVENTFD);
    plain = new_topic("plain", 1000, false);
    late = new_topic("late", 100, true);
    big = new_topic("big", IPC_MAIL_MAX, false);
    memset(got, 0, sizeof(got));
    memset(boxes, 0, sizeof(boxes));
    for (int i = 0; i < WORKERS; i++)
        start(W0 + i);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].joined)
            mailbox_leave(&boxes[i]);
    region_free(&region);
    return 0;
}

static inline struct mail_target to(int group)
{
    return (struct mail_target){.to = group};
}

static inline enum mail_result say(int from, int topic, int group, const char *text)
{
    return mailbox_publish(&boxes[from], (unsigned)topic, to(group), text, strlen(text), NULL);
}

static inline void drain(int slot)
{
    while (mailbox_drain(&boxes[slot], 1000, 1000000)) {
    }
}

static inline void drain_all(void)
{
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].joined)
            drain(i);
}

static inline uint64_t own(int slot, enum ipc_mail_counter c)
{
    return mailstat_get(&region, slot, c);
}

/* Which slots have been rung: a bit each. Drains the bells. */
static inline unsigned rung(void)
{
    unsigned set = fd_event_drain(region.master_bell) ? 1 : 0;
    for (int i = 1; i < BOXES; i++)
        set |= fd_event_drain(region.bells[i]) ? 1u << i : 0;
    return set;
}

/* M7 for everybody who is there. */
static inline void check_accounts(void)
{
    for (int i = 0; i < BOXES; i++)
        for (unsigned t = 0; boxes[i].joined && t < 3; t++)
            if (topic_owed(&region, i, t) != 0)
                fail_msg("slot %d is owed %lld of topic %u", i,
                         (long long)topic_owed(&region, i, t), t);
}

static inline void fill(int from, int n, const char *text)
{
    for (int i = 0; i < n; i++)
        assert_true(say(from, plain, MAIL_ALL, text) <= MAIL_QUEUED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
