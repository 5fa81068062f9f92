/* mail.c - the mailbox of cserver, with SIGUSR1 for its bell, as workers and the primary have it. */
#include "wire.h"

#include "ipc/mailbox.h"
#include "ipc/mailstat.h"
#include "ipc/topic.h"
#include "os/fd.h"
#include "os/sig.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SENDER      IPC_SLOT_WORKERS
#define DRAIN_EVERY 64 /* messages: who sends is also somebody with a loop */

static struct region region;
static struct mailbox mb;
static unsigned topic;
static int signals;

static void on_message(void *arg, const struct mail_message *m)
{
    (void)arg;
    if (m->lost)
        wire_die("the benchmark's receiver was evicted");
    wire_message(m->data, m->len);
}

static void make(int receivers)
{
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    int rc = region_new(&region, (unsigned)receivers + 1);
    if (rc == 0)
        rc = topic_new(&region, &(struct topic_spec){"bench", "bench", IPC_MAIL_MAX, false});
    if (rc < 0)
        wire_die("the region of the mailbox");
    topic = (unsigned)rc;
}

static void join(int slot, bool subscribe)
{
    atomic_store(&region.slots[slot].pid, getpid());
    signals = sig_open();
    mailbox_init(&mb, &region, slot, on_message, NULL);
    if (subscribe)
        mailbox_subscribe(&mb, topic, true);
    if (signals < 0 || mailbox_join(&mb) < 0)
        wire_die("mailbox_join");
}

static void begin_receiver(int i)
{
    join(SENDER + 1 + i, true);
}

static void begin_sender(void)
{
    join(SENDER, false);
}

static void turn(bool sleep)
{
    int pid;
    struct pollfd fds[2] = {{.fd = signals, .events = POLLIN},
                            {.fd = region.bells[mb.slot], .events = POLLIN}};
    mailbox_park(&mb);
    int ms = mailbox_wait_ms(&mb);
    if (ms != 0)
        poll(fds, 2, sleep ? ms : 0);
    mailbox_wake(&mb);
    if (fds[0].revents)
        sig_read(signals, &pid);
    if (fds[1].revents)
        fd_event_drain(region.bells[mb.slot]);
    mailbox_drain(&mb, 64, 1000);
}

static void send_all(const void *data, size_t len)
{
    static unsigned sent;
    struct mail_target others = {.to = MAIL_OTHERS};
    enum mail_result rc;
    while ((rc = mailbox_publish(&mb, topic, others, data, len, NULL)) == MAIL_AGAIN)
        turn(true);
    if (rc > MAIL_QUEUED)
        wire_die(mailbox_result_name(rc));
    if (++sent % DRAIN_EVERY == 0)
        mailbox_drain(&mb, 64, 1000);
}

static void finish(void)
{
    mailbox_drain(&mb, 64, 1000);
    while (!mailbox_outbox_empty(&mb))
        turn(true);
}

/* Also the bells that receivers ring, for whom there is room again. */
static uint64_t calls(void)
{
    return mailstat_sum(&region, IPC_MAIL_BELLS_SENT);
}

const struct wire wire_mail = {.name = "mail",
                               .make = make,
                               .begin_receiver = begin_receiver,
                               .begin_sender = begin_sender,
                               .send = send_all,
                               .finish = finish,
                               .turn = turn,
                               .calls = calls};
