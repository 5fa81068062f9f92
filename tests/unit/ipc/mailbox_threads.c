/* mailbox_threads.c - the mailbox with threads for processes, so that ThreadSanitizer can watch it: it knows nothing of
 * two processes that share memory. Each thread has a struct mailbox of its own, bells are eventfds, and a thread that ends
 * with the lock is a process that has died with it (robust mutexes see no difference).
 *
 *   mailbox_threads [SECONDS]    2 by default
 *
 * Workers send to all and take from all; now and then one ends, with the lock and in the middle of a commit or without
 * it, is buried and gets a successor; one that is asked to stand still is evicted. Exit status 1: torn, out of order, or a
 * gap that was not reported. `make check` builds it with -fsanitize=thread and -DWORDS_PLAIN; so that no copy is made
 * by somebody who is being evicted, only those who stand still are. */
#include "base/clock.h"
#include "ipc/board.h"
#include "ipc/mailbox.h"
#include "ipc/mailstat.h"
#include "ipc/postmaster.h"
#include "ipc/topic.h"
#include "os/fd.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS  3
#define W0       IPC_SLOT_WORKERS
#define MAX      600
#define STALL_MS 20

enum order {
    GO,
    STAND, /* still, for a while */
    DIE,
    DIE_WITH_LOCK,
    QUIET /* send no more */
};

struct worker {
    pthread_t thread;
    struct mailbox mb;
    _Atomic int order, idle, standing;
    int slot;
    unsigned seed;
    uint64_t seq, sent;
    uint64_t last[64];
    uint32_t incarnation[64];
};

static struct region region;
static struct worker workers[WORKERS];
static int events, state;
static _Atomic uint64_t received, lost, torn, disordered, gaps;

static void count(_Atomic uint64_t *n)
{
    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

static bool is_torn(const struct mail_message *m, uint64_t n)
{
    const unsigned char *p = m->data;
    for (size_t i = sizeof(n); i < m->len; i++)
        if (p[i] != (unsigned char)(n + i))
            return true;
    return false;
}

static void on_event(struct worker *w, const struct mail_message *m)
{
    uint64_t n;
    if (w->seq && m->number <= w->seq)
        count(&disordered);
    else if (w->seq && m->number != w->seq + 1)
        count(&gaps);
    w->seq = m->number;
    memcpy(&n, m->data, sizeof(n));
    if (is_torn(m, n))
        count(&torn);
    if (w->incarnation[m->from_slot] == m->from_incarnation && n != w->last[m->from_slot] + 1)
        count(&gaps);
    w->incarnation[m->from_slot] = m->from_incarnation;
    w->last[m->from_slot] = n;
}

static void on_message(void *arg, const struct mail_message *m)
{
    struct worker *w = arg;
    count(&received);
    if ((int)m->topic == state) {
        if (m->len && is_torn(m, *(const unsigned char *)m->data))
            count(&torn);
        return;
    }
    if (m->lost) {
        atomic_fetch_add_explicit(&lost, m->lost, memory_order_relaxed);
        w->seq += w->seq ? m->lost : 0;
        memset(w->incarnation, 0, sizeof(w->incarnation));
        return;
    }
    on_event(w, m);
}

static void send_one(struct worker *w)
{
    unsigned char data[MAX];
    size_t len = sizeof(uint64_t) + (size_t)rand_r(&w->seed) % (MAX - sizeof(uint64_t));
    uint64_t n = w->sent + 1;
    int topic = rand_r(&w->seed) % 16 ? events : state;
    if (topic == state)
        n = (unsigned)rand_r(&w->seed) % 256;
    memcpy(data, &n, sizeof(n));
    for (size_t i = sizeof(n); i < len; i++)
        data[i] = (unsigned char)(n + i);
    enum mail_result rc = mailbox_publish(
        &w->mb, (unsigned)topic, (struct mail_target){.to = MAIL_WORKERS}, data, len, NULL);
    if (topic == events && rc <= MAIL_QUEUED)
        w->sent = n;
}

/* What a writer leaves that dies before its commit. */
static void die_with_lock(struct worker *w)
{
    static const char junk[200] = "junk";
    struct ipc_mail_record rec = {
        .len = sizeof(junk), .topic = (uint16_t)state, .to = MAIL_WORKERS};
    if (ring_enter(&region, w->mb.me) != RING_OK)
        return;
    rec.pos = ring_head(&region);
    topic_keep(&region, &rec, junk);
    atomic_store_explicit(&region.mail->journal.end, rec.pos + 3, memory_order_release);
}

static void sleep_once(struct worker *w)
{
    struct pollfd p = {.fd = region.bells[w->slot], .events = POLLIN};
    bool quiet = atomic_load(&w->order) == QUIET;
    mailbox_park(&w->mb);
    int ms = mailbox_wait_ms(&w->mb);
    bool idle = quiet && ms < 0 && topic_owed(&region, w->slot, (unsigned)events) == 0;
    atomic_store(&w->idle, idle);
    poll(&p, 1, !quiet && ms < 0 && rand_r(&w->seed) % 4 ? 0 : ms < 0 ? 100 : ms);
    mailbox_wake(&w->mb);
    fd_event_drain(region.bells[w->slot]);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    mailbox_init(&w->mb, &region, w->slot, on_message, w);
    mailbox_subscribe(&w->mb, (unsigned)events, true);
    mailbox_subscribe(&w->mb, (unsigned)state, true);
    if (mailbox_join(&w->mb) < 0)
        abort();
    for (;;) {
        switch (atomic_load(&w->order)) {
        case STAND:
            atomic_store(&w->standing, 1);
            usleep(1000);
            continue;
        case DIE_WITH_LOCK:
            die_with_lock(w);
            return NULL;
        case DIE:
            return NULL;
        case GO:
            for (int i = rand_r(&w->seed) % 32; i > 0; i--)
                send_one(w);
        }
        atomic_store(&w->standing, 0);
        mailbox_drain(&w->mb, 64, 200);
        sleep_once(w);
    }
}

static void start(int i)
{
    static unsigned seed;
    struct worker *w = &workers[i];
    memset(w, 0, sizeof(*w));
    w->slot = W0 + i;
    w->seed = ++seed;
    atomic_fetch_add(&region.slots[w->slot].incarnation, 1);
    if (pthread_create(&w->thread, NULL, work, w) != 0)
        abort();
}

static void end(int i, enum order how)
{
    struct worker *w = &workers[i];
    atomic_store(&w->order, how);
    fd_event_ring(region.bells[w->slot]);
    pthread_join(w->thread, NULL);
    board_bury(&region, w->slot);
    postmaster_bury(&region, w->slot, false);
    outbox_clear(&w->mb.outbox);
    free(w->mb.buffer);
}

static void care(struct postmaster_watch *watch)
{
    int slot = postmaster_look(watch, &region, clock_us_now() / 1000, STALL_MS);
    if (slot >= W0 && atomic_load(&workers[slot - W0].standing))
        postmaster_evict(&region, slot);
}

static void stand_still(int i, struct postmaster_watch *watch)
{
    atomic_store(&workers[i].order, STAND);
    fd_event_ring(region.bells[W0 + i]);
    for (int n = 0; n < 60; n++) {
        usleep(1000);
        care(watch);
    }
    atomic_store(&workers[i].order, GO);
    while (atomic_load(&workers[i].standing))
        usleep(100);
}

static bool all_idle(void)
{
    int idle = 0;
    for (int i = 0; i < WORKERS; i++)
        idle += atomic_load(&workers[i].idle) && mailstat_lag(&region, W0 + i) == 0;
    return idle == WORKERS;
}

static bool comes_to_rest(struct postmaster_watch *watch)
{
    for (int i = 0; i < WORKERS; i++) {
        atomic_store(&workers[i].order, QUIET);
        fd_event_ring(region.bells[W0 + i]);
    }
    for (int n = 0; n < 20000 && !all_idle(); n++) {
        usleep(1000);
        care(watch);
    }
    return all_idle();
}

static unsigned storm(int seconds, struct postmaster_watch *watch)
{
    uint64_t until = clock_us_now() + (uint64_t)seconds * 1000000;
    unsigned deaths = 0, seed = 4711;
    while (clock_us_now() < until) {
        int i = rand_r(&seed) % WORKERS;
        usleep((useconds_t)(rand_r(&seed) % 20000));
        care(watch);
        if (rand_r(&seed) % 6 == 0) {
            stand_still(i, watch);
            continue;
        }
        end(i, rand_r(&seed) % 2 ? DIE_WITH_LOCK : DIE);
        start(i);
        deaths++;
    }
    return deaths;
}

int main(int argc, char **argv)
{
    struct postmaster_watch watch = {0};
    if (region_new(&region, WORKERS) < 0)
        return 1;
    atomic_store(&region.mail->doorbell, IPC_DOORBELL_EVENTFD);
    events = topic_new(&region, &(struct topic_spec){"events", "test", MAX, false});
    state = topic_new(&region, &(struct topic_spec){"state", "test", MAX, true});
    for (int i = 0; i < WORKERS; i++)
        start(i);
    unsigned deaths = storm(argc > 1 ? atoi(argv[1]) : 2, &watch);
    bool rest = comes_to_rest(&watch);
    for (int i = 0; i < WORKERS; i++)
        end(i, DIE);
    uint64_t recovered = mailstat_sum(&region, IPC_MAIL_RECOVERED);
    printf("%u deaths, %llu messages, %llu reported lost, %llu evictions, %llu recoveries\n",
           deaths, (unsigned long long)received, (unsigned long long)lost,
           (unsigned long long)region.mail->evictions, (unsigned long long)recovered);
    printf("torn %llu, disordered %llu, gaps %llu, %s\n", (unsigned long long)torn,
           (unsigned long long)disordered, (unsigned long long)gaps,
           rest ? "came to rest" : "NEVER CAME TO REST");
    bool good = rest && !torn && !disordered && !gaps && deaths > 5 && received > 1000 && recovered;
    region_free(&region);
    return good ? 0 : 1;
}
