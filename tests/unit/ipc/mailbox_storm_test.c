/* mailbox_storm_test.c - a storm of SIGKILLs. Processes send to all and take from all; each message says who sent it, its
 * how-manieth it is, and is filled with a pattern. The parent kills at random moments, buries, starts successors, and
 * stops some for a while so that they are evicted. A receiver notes what is wrong: torn, out of order, or a gap that was
 * not reported.
 *
 *   mailbox_storm_test [SECONDS]    length of the storm, 3 by default */
#include "ipc/mailbox.h"

#include "mailbox_fake.h"

#define STORM_WORKERS  4
#define STORM_MAX      700
#define STORM_STALL_MS 20

struct storm {
    _Atomic uint64_t received, torn, disordered, gaps, lost;
    _Atomic uint32_t quiet; /* send no more */
    _Atomic uint64_t idle[STORM_WORKERS];
};

static struct storm *storm;
static int storm_seconds = 3;

struct stormer {
    struct mailbox mb;
    uint64_t seq; /* of the last message of the topic, by its number */
    uint64_t sent;
    uint64_t last[64]; /* by sender slot: its last counter */
    uint32_t incarnation[64];
    int signals;
};

static void note(_Atomic uint64_t *n, uint64_t by)
{
    atomic_fetch_add(n, by);
}

/* Between two messages all that were for us are there: the topic goes to the workers only, so numbers have no gap. */
static void storm_message(void *arg, const struct mail_message *m)
{
    struct stormer *s = arg;
    note(&storm->received, 1);
    if (m->lost) {
        note(&storm->lost, m->lost);
        s->seq += s->seq ? m->lost : 0; /* 0: it had got nothing yet, so it cannot tell */
        memset(s->incarnation, 0, sizeof(s->incarnation));
        return;
    }
    if (s->seq && m->number <= s->seq)
        note(&storm->disordered, 1);
    if (s->seq && m->number > s->seq + 1)
        note(&storm->gaps, 1);
    s->seq = m->number;
    uint64_t n;
    memcpy(&n, m->data, sizeof(n));
    const unsigned char *p = m->data;
    for (size_t i = sizeof(n); i < m->len; i++)
        if (p[i] != (unsigned char)(n + i)) {
            note(&storm->torn, 1);
            break;
        }
    int from = m->from_slot;
    if (s->incarnation[from] == m->from_incarnation && n != s->last[from] + 1)
        note(n <= s->last[from] ? &storm->disordered : &storm->gaps, 1);
    s->incarnation[from] = m->from_incarnation;
    s->last[from] = n;
}

static void storm_send(struct stormer *s)
{
    unsigned char data[STORM_MAX];
    size_t len = sizeof(uint64_t) + (size_t)rand() % (STORM_MAX - sizeof(uint64_t));
    uint64_t n = s->sent + 1;
    memcpy(data, &n, sizeof(n));
    for (size_t i = sizeof(n); i < len; i++)
        data[i] = (unsigned char)(n + i);
    if (mailbox_publish(&s->mb, 0, to(MAIL_WORKERS), data, len, NULL) <= MAIL_QUEUED)
        s->sent = n;
}

static _Noreturn void storm_worker(int slot)
{
    static struct stormer s;
    int pid;
    srand((unsigned)getpid());
    s.signals = sig_open();
    mailbox_init(&s.mb, &region, slot, storm_message, &s);
    mailbox_subscribe(&s.mb, 0, true);
    if (mailbox_join(&s.mb) < 0)
        _exit(1);
    for (;;) {
        if (!atomic_load(&storm->quiet))
            for (int i = rand() % 64; i > 0; i--)
                storm_send(&s);
        mailbox_drain(&s.mb, 64, 100);
        mailbox_park(&s.mb);
        int ms = mailbox_wait_ms(&s.mb);
        bool quiet = atomic_load(&storm->quiet);
        if (quiet && ms < 0 && topic_owed(&region, slot, 0) == 0)
            atomic_store(&storm->idle[slot - W0], 1);
        else
            atomic_store(&storm->idle[slot - W0], 0);
        struct pollfd fds[2] = {{.fd = region.bells[slot], .events = POLLIN},
                                {.fd = s.signals, .events = POLLIN}};
        if (!quiet && ms < 0 && rand() % 4)
            ms = 0;
        poll(fds, 2, ms);
        mailbox_wake(&s.mb);
        fd_event_drain(region.bells[slot]);
        while (sig_read(s.signals, &pid)) {
        }
    }
}

static pid_t storm_pids[STORM_WORKERS];

static void storm_start(int worker)
{
    struct ipc_slot *s = &region.slots[W0 + worker];
    atomic_fetch_add(&s->incarnation, 1);
    atomic_store(&storm->idle[worker], 0);
    pid_t pid = child_fork(SIGKILL);
    if (pid == 0)
        storm_worker(W0 + worker);
    atomic_store(&s->pid, pid);
    storm_pids[worker] = pid;
}

static void storm_kill(int worker)
{
    siginfo_t info;
    kill(storm_pids[worker], SIGKILL);
    waitid(P_PID, (id_t)storm_pids[worker], &info, WEXITED | WNOWAIT);
    board_bury(&region, W0 + worker);
    postmaster_bury(&region, W0 + worker, false);
    waitpid(storm_pids[worker], NULL, 0);
}

/* What the master does once a second, faster. */
static void storm_care(struct postmaster_watch *w)
{
    uint64_t now = clock_us_now() / 1000;
    int slot = postmaster_look(w, &region, now, STORM_STALL_MS);
    if (slot >= 0)
        postmaster_evict(&region, slot);
}

static void storm_round(struct postmaster_watch *w, unsigned *kills)
{
    int victim = rand() % STORM_WORKERS;
    usleep((useconds_t)(rand() % 3000));
    storm_care(w);
    if (rand() % 8 == 0) {
        kill(storm_pids[victim], SIGSTOP);
        for (int i = 0; i < 40; i++) {
            usleep(1000);
            storm_care(w);
        }
        kill(storm_pids[victim], SIGCONT);
    } else {
        storm_kill(victim);
        storm_start(victim);
        ++*kills;
    }
}

static bool storm_comes_to_rest(void)
{
    uint64_t until = clock_us_now() + 20000000;
    struct postmaster_watch w = {0};
    atomic_store(&storm->quiet, 1);
    for (int i = 0; i < STORM_WORKERS; i++)
        fd_event_ring(region.bells[W0 + i]);
    while (clock_us_now() < until) {
        int idle = 0;
        for (int i = 0; i < STORM_WORKERS; i++)
            idle += atomic_load(&storm->idle[i]) && mailstat_lag(&region, W0 + i) == 0;
        if (idle == STORM_WORKERS)
            return true;
        storm_care(&w);
        usleep(1000);
    }
    return false;
}

static void test_storm(void **state)
{
    (void)state;
    sigset_t old;
    unsigned kills = 0;
    sigprocmask(SIG_SETMASK, NULL, &old);
    sig_block_all();
    for (int i = 0; i < WORKERS; i++)
        mailbox_leave(&boxes[W0 + i]);
    atomic_store(&region.mail->doorbell, IPC_DOORBELL_SIGNAL);
    storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(storm != MAP_FAILED);
    srand(4711);
    for (int i = 0; i < STORM_WORKERS; i++)
        storm_start(i);
    struct postmaster_watch w = {0};
    uint64_t until = clock_us_now() + (uint64_t)storm_seconds * 1000000;
    while (clock_us_now() < until)
        storm_round(&w, &kills);
    bool rest = storm_comes_to_rest();
    bool settled = true;
    for (int i = 0; i < STORM_WORKERS; i++)
        settled = settled && topic_owed(&region, W0 + i, 0) == 0;
    for (int i = 0; i < STORM_WORKERS; i++)
        storm_kill(i);
    print_message("%u kills, %llu messages received, %llu reported lost, %llu evictions, %llu "
                  "recoveries\n",
                  kills, (unsigned long long)storm->received, (unsigned long long)storm->lost,
                  (unsigned long long)region.mail->evictions,
                  (unsigned long long)mailstat_sum(&region, IPC_MAIL_RECOVERED));
    sigprocmask(SIG_SETMASK, &old, NULL);
    assert_int_equal(storm->torn, 0);
    assert_int_equal(storm->disordered, 0);
    assert_int_equal(storm->gaps, 0);
    assert_int_equal(mailstat_sum(&region, IPC_MAIL_CORRUPT), 0);
    assert_true(rest);
    assert_true(settled);
    assert_true(kills >= 10 && storm->received > 1000);
    munmap(storm, sizeof(*storm));
}

static int storm_set_up(void **state)
{
    int rc = set_up(state);
    if (rc == 0) { /* with room for another worker, and its topic first */
        tear_down(state);
        rc = region_new(&region, STORM_WORKERS);
        new_topic("storm", STORM_MAX, false);
        memset(boxes, 0, sizeof(boxes));
        plain = late = big = 0;
        for (int i = 0; i < WORKERS; i++)
            start(W0 + i);
    }
    return rc;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        storm_seconds = atoi(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_storm, storm_set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
