/* mailbox.c - what the mailbox costs: one process publishes as fast as it can, others take.
 *
 *   mailbox [MESSAGES]    per size, 1000000 by default; large messages fewer
 *
 * For each size and number of receivers: ns of the publisher per message (until all have taken it), messages a second
 * that each receiver took, bells rung per message. Then the way to a sleeper: publish, its bell, its callback, and the
 * answer back, halved; beside it the same with a bare eventfd. */
#include "ipc/mailbox.h"
#include "base/clock.h"
#include "ipc/mailstat.h"
#include "ipc/topic.h"
#include "os/fd.h"
#include "os/sig.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define W0 IPC_SLOT_WORKERS

static struct region region;
static unsigned topic;
static uint64_t taken;

static void on_message(void *arg, const struct mail_message *m)
{
    (void)arg;
    taken += m->lost ? m->lost : 1;
}

static void join(struct mailbox *mb, int slot, bool subscribe,
                 void (*on)(void *, const struct mail_message *))
{
    mailbox_init(mb, &region, slot, on, mb);
    if (subscribe)
        mailbox_subscribe(mb, topic, true);
    if (mailbox_join(mb) < 0)
        exit(1);
}

/* One turn of a loop that does nothing else. */
static void turn(struct mailbox *mb, int signals)
{
    int pid;
    struct pollfd fds[2] = {{.fd = signals, .events = POLLIN},
                            {.fd = region.bells[mb->slot], .events = POLLIN}};
    mailbox_park(mb);
    int ms = mailbox_wait_ms(mb);
    if (ms != 0)
        poll(fds, 2, ms);
    mailbox_wake(mb);
    if (fds[0].revents)
        sig_read(signals, &pid);
    if (fds[1].revents)
        fd_event_drain(region.bells[mb->slot]);
    mailbox_drain(mb, 64, 1000);
}

static _Noreturn void receive(int slot, uint64_t messages)
{
    static struct mailbox mb;
    int signals = sig_open();
    join(&mb, slot, true, on_message);
    while (taken < messages)
        turn(&mb, signals);
    _exit(0);
}

static void start(int slot, pid_t pid)
{
    atomic_store(&region.slots[slot].pid, pid);
}

static void wait_until_joined(int receivers)
{
    for (int i = 1; i <= receivers; i++)
        while (atomic_load(&region.mailboxes[W0 + i].state) != IPC_MAIL_LIVE)
            usleep(100);
}

static void publish_all(struct mailbox *mb, uint64_t messages, size_t len)
{
    static char data[IPC_MAIL_MAX];
    int signals = sig_open();
    for (uint64_t i = 0; i < messages;)
        if (mailbox_publish(mb, topic, (struct mail_target){.to = MAIL_OTHERS}, data, len, NULL) <=
            MAIL_QUEUED)
            i++;
        else
            turn(mb, signals);
    while (!mailbox_outbox_empty(mb))
        turn(mb, signals);
    close(signals);
}

static void run(size_t len, int receivers, uint64_t messages)
{
    static struct mailbox mb;
    if (region_new(&region, 4) < 0)
        exit(1);
    topic =
        (unsigned)topic_new(&region, &(struct topic_spec){"bench", "bench", IPC_MAIL_MAX, false});
    fflush(stdout);
    for (int i = 1; i <= receivers; i++) {
        pid_t pid = fork();
        if (pid == 0)
            receive(W0 + i, messages);
        start(W0 + i, pid);
    }
    join(&mb, W0, false, on_message);
    start(W0, getpid());
    wait_until_joined(receivers);
    uint64_t from = clock_us_now();
    publish_all(&mb, messages, len);
    uint64_t published = clock_us_now() - from;
    for (int i = 0; i < receivers; i++)
        wait(NULL);
    uint64_t all = clock_us_now() - from;
    printf(
        "%6zu bytes, %d receivers: %7.0f ns/publish, %9.0f msg/s each, %.3f bells/msg, %llu full\n",
        len, receivers, (double)published * 1000 / (double)messages,
        (double)messages * 1e6 / (double)all,
        (double)mailstat_sum(&region, IPC_MAIL_BELLS_SENT) / (double)messages,
        (unsigned long long)mailstat_sum(&region, IPC_MAIL_FULL));
    mailbox_leave(&mb);
    region_free(&region);
}

/* ---- A sleeper ---- */

static void answer(void *arg, const struct mail_message *m)
{
    mailbox_publish(arg, topic, (struct mail_target){m->from_slot, m->from_incarnation}, m->data,
                    m->len, NULL);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#define ROUNDS 3000
static double times[ROUNDS];

static void report(const char *what)
{
    qsort(times, ROUNDS, sizeof(times[0]), compare);
    printf("%s: p50 %.1f us, p99 %.1f us one way\n", what, times[ROUNDS / 2],
           times[ROUNDS * 99 / 100]);
}

static void measure_asleep(void)
{
    static struct mailbox mb;
    if (region_new(&region, 4) < 0)
        exit(1);
    topic = (unsigned)topic_new(&region, &(struct topic_spec){"bench", "bench", 64, false});
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int signals = sig_open();
        join(&mb, W0 + 1, true, answer);
        for (;;)
            turn(&mb, signals);
    }
    start(W0 + 1, pid);
    start(W0, getpid());
    join(&mb, W0, true, on_message);
    wait_until_joined(1);
    int signals = sig_open();
    for (int i = 0; i < ROUNDS; i++) {
        usleep(200);
        uint64_t before = taken, from = clock_us_now();
        mailbox_publish(&mb, topic, (struct mail_target){.to = W0 + 1}, "ping", 4, NULL);
        while (taken == before)
            turn(&mb, signals);
        times[i] = (double)(clock_us_now() - from) / 2;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    report("asleep, mailbox with SIGUSR1");
    mailbox_leave(&mb);
    region_free(&region);
}

static void measure_bare(void)
{
    int there = eventfd(0, 0), back = eventfd(0, 0);
    uint64_t one = 1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            if (read(there, &one, 8) != 8 || write(back, &one, 8) != 8)
                _exit(1);
    for (int i = 0; i < ROUNDS; i++) {
        usleep(200);
        uint64_t from = clock_us_now();
        if (write(there, &one, 8) != 8 || read(back, &one, 8) != 8)
            exit(1);
        times[i] = (double)(clock_us_now() - from) / 2;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    report("asleep, bare eventfd");
}

int main(int argc, char **argv)
{
    uint64_t messages = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    static const struct {
        size_t len;
        unsigned divide;
    } sizes[] = {{64, 1}, {1024, 2}, {16384, 10}};
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int receivers = 1; receivers <= 3; receivers += 2)
            run(sizes[i].len, receivers, messages / sizes[i].divide);
    measure_asleep();
    measure_bare();
    return 0;
}
