/* The mailbox: who gets what, what is refused, bells, latest values, eviction, the primary's place, receipts, recovery;
 * and a storm of SIGKILLs.
 *
 *   mailbox_test [SECONDS]    length of the storm, 3 by default */
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

static void on_message(void *arg, const struct mail_message *m)
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

static void start(int slot)
{
    atomic_fetch_add(&region.slots[slot].incarnation, 1);
    mailbox_init(&boxes[slot], &region, slot, on_message, &boxes[slot]);
    mailbox_subscribe(&boxes[slot], (unsigned)plain, true);
    mailbox_subscribe(&boxes[slot], (unsigned)late, true);
    mailbox_subscribe(&boxes[slot], (unsigned)big, true);
    assert_int_equal(mailbox_join(&boxes[slot]), 0);
}

static int new_topic(const char *name, size_t max_len, bool latest)
{
    return topic_new(&region, &(struct topic_spec){name, "test", max_len, latest});
}

static int set_up(void **state)
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

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].joined)
            mailbox_leave(&boxes[i]);
    region_free(&region);
    return 0;
}

static struct mail_target to(int group)
{
    return (struct mail_target){.to = group};
}

static enum mail_result say(int from, int topic, int group, const char *text)
{
    return mailbox_publish(&boxes[from], (unsigned)topic, to(group), text, strlen(text), NULL);
}

static void drain(int slot)
{
    while (mailbox_drain(&boxes[slot], 1000, 1000000)) {
    }
}

static void drain_all(void)
{
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].joined)
            drain(i);
}

static uint64_t own(int slot, enum ipc_mail_counter c)
{
    return mailstat_get(&region, slot, c);
}

/* Which slots have been rung: a bit each. Drains the bells. */
static unsigned rung(void)
{
    unsigned set = fd_event_drain(region.master_bell) ? 1 : 0;
    for (int i = 1; i < BOXES; i++)
        set |= fd_event_drain(region.bells[i]) ? 1u << i : 0;
    return set;
}

/* M7 for everybody who is there. */
static void check_accounts(void)
{
    for (int i = 0; i < BOXES; i++)
        for (unsigned t = 0; boxes[i].joined && t < 3; t++)
            if (topic_owed(&region, i, t) != 0)
                fail_msg("slot %d is owed %lld of topic %u", i,
                         (long long)topic_owed(&region, i, t), t);
}

/* ---- Topics ---- */

static void test_topics(void **state)
{
    (void)state;
    static char long_name[IPC_TOPIC_NAME + 1], fits[IPC_TOPIC_NAME];
    memset(long_name, 'x', IPC_TOPIC_NAME);
    memset(fits, 'y', IPC_TOPIC_NAME - 1);
    static const struct {
        const char *label, *name;
        size_t max_len;
        bool latest;
        int expect;
        uint32_t len_after;
    } rows[] = {
        {"new", "a", 10, false, 3, 10},
        {"another", "b", 10, true, 4, 10},
        {"known", "a", 10, false, 3, 10},
        {"known, longer", "a", 20, false, 3, 20},
        {"known, shorter: stays", "a", 5, false, 3, 20},
        {"known, begins to keep", "a", 5, true, 3, 20},
        {"known, too long to keep", "a", IPC_LATEST_MAX + 1, false, -EINVAL, 0},
        {"longest name", fits, 1, false, 5, 1},
        {"name too long", long_name, 1, false, -ENAMETOOLONG, 0},
        {"no name", "", 1, false, -EINVAL, 0},
        {"no length", "c", 0, false, -EINVAL, 0},
        {"longest message", "d", IPC_MAIL_MAX, false, 6, IPC_MAIL_MAX},
        {"too long a message", "e", IPC_MAIL_MAX + 1, false, -EINVAL, 0},
        {"longest value", "f", IPC_LATEST_MAX, true, 7, IPC_LATEST_MAX},
        {"too long a value", "g", IPC_LATEST_MAX + 1, true, -EINVAL, 0},
        {"big one cannot keep", "d", 1, true, -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int id = new_topic(rows[i].name, rows[i].max_len, rows[i].latest);
        if (id != rows[i].expect)
            fail_msg("%s: %d, expected %d", rows[i].label, id, rows[i].expect);
        if (id >= 0 && topic_get(&region, (unsigned)id)->max_len != rows[i].len_after)
            fail_msg("%s: length %u", rows[i].label, topic_get(&region, (unsigned)id)->max_len);
        if (topic_find(&region, rows[i].name) != (id >= 0 ? id : topic_find(&region, rows[i].name)))
            fail_msg("%s: is not found", rows[i].label);
    }
    assert_int_equal(topic_find(&region, "b"), 4);
    assert_int_equal(topic_find(&region, "g"), -ENOENT);
    assert_string_equal(topic_get(&region, 4)->owner, "test");
    assert_null(topic_get(&region, 8));
    assert_null(topic_get(&region, IPC_TOPICS));
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_topics_run_out(void **state)
{
    (void)state;
    char name[16];
    int latest = 0, n = 3;
    for (; n < IPC_TOPICS; n++) {
        snprintf(name, sizeof(name), "t%d", n);
        int id = new_topic(name, 8, latest < IPC_LATEST - 1);
        assert_int_equal(id, n);
        latest++;
    }
    assert_int_equal(new_topic("more", 8, false), -ENOSPC);
    assert_int_equal(new_topic("t250", 8, true), -ENOSPC);
    assert_int_equal(new_topic("t250", 8, false), 250);
}

/* ---- Targets ---- */

/* Slots as letters: m master, a b primaries, 0 1 2 workers. */
static int slot_of(char c)
{
    return c == 'm' ? IPC_SLOT_MASTER : c == 'a' ? A : c == 'b' ? B : W0 + (c - '0');
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        char from;
        int to;
        const char *expect;
    } rows[] = {
        {"all, from a worker", '1', MAIL_ALL, "a012"},
        {"all, from the primary", 'a', MAIL_ALL, "a012"},
        {"all, from the master", 'm', MAIL_ALL, "a012"},
        {"workers, from a worker", '1', MAIL_WORKERS, "012"},
        {"workers, from the primary", 'a', MAIL_WORKERS, "012"},
        {"others, from a worker", '1', MAIL_OTHERS, "02"},
        {"others, from the primary", 'a', MAIL_OTHERS, "012"},
        {"primary, from a worker", '2', MAIL_PRIMARY, "a"},
        {"primary, from the primary", 'a', MAIL_PRIMARY, "a"},
        {"master", '0', IPC_SLOT_MASTER, "m"},
        {"one worker", '0', W0 + 2, "2"},
        {"oneself", '0', W0, "0"},
    };
    start(IPC_SLOT_MASTER);
    start(A);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        memset(got, 0, sizeof(got));
        if (say(slot_of(rows[i].from), plain, rows[i].to, rows[i].label) != MAIL_SENT)
            fail_msg("%s: not sent", rows[i].label);
        drain_all();
        for (const char *c = "mab012"; *c; c++) {
            bool expect = strchr(rows[i].expect, *c) != NULL;
            const struct got *g = &got[slot_of(*c)][plain];
            if (g->n != expect)
                fail_msg("%s: %c got %u", rows[i].label, *c, g->n);
            if (expect && (strcmp(g->text, rows[i].label) != 0 ||
                           g->last.from_slot != slot_of(rows[i].from) || g->last.seq != i + 1 ||
                           g->last.number != i + 1 || g->last.from_incarnation != 1))
                fail_msg("%s: %c got something else: %s", rows[i].label, *c, g->text);
        }
    }
    check_accounts();
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_refusals(void **state)
{
    (void)state;
    static char data[IPC_MAIL_MAX + 1];
    const struct {
        const char *label;
        int topic;
        struct mail_target target;
        size_t len;
        enum mail_result expect;
    } rows[] = {
        {"nothing at all", plain, to(MAIL_ALL), 0, MAIL_SENT},
        {"longest", plain, to(MAIL_ALL), 1000, MAIL_SENT},
        {"one more", plain, to(MAIL_ALL), 1001, MAIL_TOOBIG},
        {"largest of all", big, to(MAIL_ALL), IPC_MAIL_MAX, MAIL_SENT},
        {"more than that", big, to(MAIL_ALL), IPC_MAIL_MAX + 1, MAIL_TOOBIG},
        {"no such topic", 77, to(MAIL_ALL), 1, MAIL_UNKNOWN},
        {"far from a topic", 100000, to(MAIL_ALL), 1, MAIL_UNKNOWN},
        {"no such slot", plain, to(1000), 1, MAIL_UNKNOWN},
        {"no such group", plain, to(-5), 1, MAIL_UNKNOWN},
        {"no primary", plain, to(MAIL_PRIMARY), 1, MAIL_NOBODY},
        {"a free slot", plain, to(W0 + WORKERS), 1, MAIL_NOBODY},
        {"the master, who is not there", plain, to(IPC_SLOT_MASTER), 1, MAIL_NOBODY},
        {"this incarnation", plain, {W0 + 1, 1}, 1, MAIL_SENT},
        {"an old incarnation", plain, {W0 + 1, 7}, 1, MAIL_NOBODY},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum mail_result rc = mailbox_publish(&boxes[W0], (unsigned)rows[i].topic, rows[i].target,
                                              data, rows[i].len, NULL);
        if (rc != rows[i].expect)
            fail_msg("%s: %s, expected %s", rows[i].label, mailbox_result_name(rc),
                     mailbox_result_name(rows[i].expect));
    }
    assert_int_equal(own(W0, IPC_MAIL_STALE), 4);
    assert_int_equal(mailbox_subscribe(&boxes[W0 + 1], (unsigned)plain, false), 0);
    assert_int_equal(say(W0, plain, W0 + 1, "x"), MAIL_NOBODY);
    drain_all();
    assert_int_equal(got[W0 + 1][big].last.len, IPC_MAIL_MAX);
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

/* ---- Order, hops ---- */

static void test_order(void **state)
{
    (void)state;
    char text[16];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(say(W0 + (int)(i % WORKERS), plain, MAIL_ALL, text), MAIL_SENT);
    }
    assert_int_equal(mailbox_drain(&boxes[W0], 40, 1000000), 40);
    assert_string_equal(got[W0][plain].text, "39");
    assert_int_equal(mailbox_wait_ms(&boxes[W0]), 0);
    drain_all();
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(got[W0 + i][plain].n, 100);
        assert_string_equal(got[W0 + i][plain].text, "99");
        assert_int_equal(mailbox_wait_ms(&boxes[W0 + i]), -1);
    }
    check_accounts();
    struct mailstat_topic sum = mailstat_topic(&region, (unsigned)plain);
    assert_int_equal(sum.published, 100);
    assert_int_equal(sum.bytes, 190);
    assert_int_equal(sum.delivered, 300);
    assert_int_equal(sum.lost, 0);
}

static enum mail_result ping_result;
static unsigned ping_count;

static void ping_pong(void *arg, const struct mail_message *m)
{
    (void)m;
    ping_count++;
    ping_result = mailbox_publish(arg, (unsigned)plain, to(MAIL_OTHERS), "x", 1, NULL);
}

static void test_loop(void **state)
{
    (void)state;
    mailbox_leave(&boxes[W0 + 2]);
    boxes[W0].on_message = boxes[W0 + 1].on_message = ping_pong;
    assert_int_equal(say(W0, plain, MAIL_OTHERS, "x"), MAIL_SENT);
    for (int i = 0; i < 50; i++)
        mailbox_drain(&boxes[W0 + (i + 1) % 2], 10, 1000000);
    assert_int_equal(ping_result, MAIL_LOOP);
    assert_int_equal(ping_count, MAILBOX_HOPS + 1);
    assert_int_equal(mailstat_sum(&region, IPC_MAIL_LOOPS), 1);
    check_accounts();
}

/* ---- Bells ---- */

/* Each column is a worker: r runs, p sleeps, n sleeps and has been rung already. Worker 0 publishes. */
static void test_bells(void **state)
{
    (void)state;
    static const struct {
        const char *label, *parked;
        int to;
        unsigned expect;
    } rows[] = {
        {"nobody sleeps", "rrr", MAIL_ALL, 0},       {"one sleeps", "rpr", MAIL_ALL, 2},
        {"both sleep", "rpp", MAIL_ALL, 6},          {"one was rung already", "rnp", MAIL_ALL, 4},
        {"oneself is not rung", "ppp", MAIL_ALL, 6}, {"only whom it is for", "rpp", W0 + 2, 4},
        {"for one who runs", "rpr", W0 + 2, 0},      {"for oneself", "ppp", W0, 0},
        {"others", "rpn", MAIL_OTHERS, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        drain_all();
        for (int w = 0; w < WORKERS; w++) {
            atomic_store(&region.slots[W0 + w].park, rows[i].parked[w] != 'r');
            atomic_store(&region.mailboxes[W0 + w].note, rows[i].parked[w] == 'n');
        }
        uint64_t sent = own(W0, IPC_MAIL_BELLS_SENT);
        assert_int_equal(say(W0, plain, rows[i].to, "x"), MAIL_SENT);
        unsigned set = rung() >> W0;
        if (set != rows[i].expect)
            fail_msg("%s: rung %#x, expected %#x", rows[i].label, set, rows[i].expect);
        if (own(W0, IPC_MAIL_BELLS_SENT) - sent != (unsigned)__builtin_popcount(set))
            fail_msg("%s: bells are not counted", rows[i].label);
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_bell_is_heard(void **state)
{
    (void)state;
    mailbox_park(&boxes[W0 + 1]);
    say(W0, plain, MAIL_ALL, "1");
    assert_int_equal(mailbox_wait_ms(&boxes[W0 + 1]), 0);
    say(W0, plain, MAIL_ALL, "2");
    assert_int_equal(own(W0, IPC_MAIL_BELLS_SENT), 1);
    assert_int_equal(own(W0, IPC_MAIL_BELLS_SAVED_FLAG), 1);
    assert_int_equal(own(W0, IPC_MAIL_BELLS_SAVED_RUNNING), 2);
    mailbox_wake(&boxes[W0 + 1]);
    drain(W0 + 1);
    assert_int_equal(own(W0 + 1, IPC_MAIL_BELLS_HEARD), 1);
    assert_int_equal(own(W0 + 1, IPC_MAIL_BELLS_FUTILE), 0);
    mailbox_park(&boxes[W0 + 1]);
    assert_int_equal(mailbox_wait_ms(&boxes[W0 + 1]), -1);
    say(W0, plain, MAIL_ALL, "3");
    assert_int_equal(own(W0, IPC_MAIL_BELLS_SENT), 2);
    assert_int_equal(rung(), 1u << (W0 + 1));
}

/* A signal where there is a pid, the eventfd where kill does not work, the master's own bell. */
static void test_bell_kinds(void **state)
{
    (void)state;
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    atomic_store(&region.mail->doorbell, IPC_DOORBELL_SIGNAL);
    start(IPC_SLOT_MASTER);
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    waitpid(gone, NULL, 0);
    for (int i = 0; i < BOXES; i++)
        if (boxes[i].joined)
            mailbox_park(&boxes[i]);
    atomic_store(&region.slots[W0 + 1].pid, getpid());
    atomic_store(&region.slots[W0 + 2].pid, gone);
    say(W0, plain, W0 + 1, "x");
    assert_int_equal(rung(), 0);
    struct timespec none = {0, 0};
    assert_int_equal(sigtimedwait(&set, NULL, &none), SIGUSR1);
    say(W0, plain, W0 + 2, "x");
    assert_int_equal(rung(), 1u << (W0 + 2));
    say(W0, plain, IPC_SLOT_MASTER, "x");
    assert_int_equal(rung(), 1);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void test_bury_rings_all(void **state)
{
    (void)state;
    for (int i = 0; i < WORKERS; i++)
        atomic_store(&region.mailboxes[W0 + i].note, 1);
    mailbox_park(&boxes[W0]);
    postmaster_bury(&region, W0 + 2, false);
    assert_int_equal(rung(), 3u << W0);
    assert_int_equal(region.mailboxes[W0 + 2].state, IPC_MAIL_OUT);
    boxes[W0 + 2].joined = false;
    free(boxes[W0 + 2].buffer);
    start(W0 + 2);
    say(W0, plain, MAIL_ALL, "new");
    drain_all();
    assert_string_equal(got[W0 + 2][plain].text, "new");
}

/* ---- Full, outbox ---- */

static void fill(int from, int n, const char *text)
{
    for (int i = 0; i < n; i++)
        assert_true(say(from, plain, MAIL_ALL, text) <= MAIL_QUEUED);
}

static void test_full(void **state)
{
    (void)state;
    mailbox_park(&boxes[W0 + 1]);
    fill(W0, IPC_MAIL_CELLS, "x");
    assert_int_equal(own(W0, IPC_MAIL_FULL), 0);
    fill(W0, 10, "y");
    assert_int_equal(own(W0, IPC_MAIL_PUBLISHED), IPC_MAIL_CELLS);
    assert_int_equal(own(W0, IPC_MAIL_QUEUED), 10);
    drain(W0);
    drain(W0 + 2);
    mailbox_park(&boxes[W0]);
    assert_int_equal(mailbox_wait_ms(&boxes[W0]), -1);
    rung();
    mailbox_wake(&boxes[W0 + 1]);
    assert_int_equal(mailbox_drain(&boxes[W0 + 1], 1, 1000000), 1);
    assert_int_equal(rung(), 1u << W0);
    assert_int_equal(mailbox_wait_ms(&boxes[W0]), 0);
    drain(W0 + 1);
    drain_all();
    assert_true(mailbox_outbox_empty(&boxes[W0]));
    drain_all();
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(got[W0 + i][plain].n, IPC_MAIL_CELLS + 10);
        assert_string_equal(got[W0 + i][plain].text, "y");
    }
    check_accounts();
}

static void test_outbox_is_full(void **state)
{
    (void)state;
    static char data[1000];
    unsigned n = 0;
    enum mail_result rc;
    while ((rc = mailbox_publish(&boxes[W0], (unsigned)plain, to(MAIL_ALL), data, 1000, NULL)) <=
           MAIL_QUEUED)
        n++;
    assert_int_equal(rc, MAIL_AGAIN);
    assert_int_equal(own(W0, IPC_MAIL_REFUSED), 1);
    assert_true(n > 900 + OUTBOX_MAX / 1200 && n < 920 + OUTBOX_MAX / 1000);
    assert_true(atomic_load(&region.mailboxes[W0].outbox) > OUTBOX_MAX - 2000);
    assert_int_equal(own(W0, IPC_MAIL_PUBLISHED) + own(W0, IPC_MAIL_QUEUED), n);
    for (int i = 0; i < 10; i++)
        drain_all();
    assert_int_equal(got[W0 + 1][plain].n, n);
    assert_int_equal(got[W0 + 1][plain].last_number, n);
    check_accounts();
}

/* All sizes around the places where records change their number of cells, and where the ring ends. */
static void test_sizes(void **state)
{
    (void)state;
    static char data[IPC_MAIL_MAX];
    size_t rows = 0, bytes = 0;
    for (size_t len = 0; len <= 1000; len++)
        data[len] = (char)len;
    for (size_t len = 0; len <= 64 * 1024; len = len < 300 ? len + 1 : len * 5 / 4, rows++) {
        assert_true(mailbox_publish(&boxes[W0], (unsigned)big, to(MAIL_ALL), data, len, NULL) <=
                    MAIL_QUEUED);
        bytes += len;
        drain_all();
        const struct got *g = &got[W0 + 1][big];
        if (g->n != rows + 1 || g->last.len != len)
            fail_msg("%zu bytes: got %u messages, the last of %zu", len, g->n, g->last.len);
    }
    assert_true(ring_head(&region) > 0 && bytes > 0);
    check_accounts();
}

/* A sleeper for whom nothing comes is woken before it stops the others. */
static void test_sleeper_is_nudged(void **state)
{
    (void)state;
    drain_all();
    mailbox_park(&boxes[W0 + 2]);
    for (int i = 0; i < IPC_MAIL_CELLS / 2 - 8; i++)
        assert_int_equal(say(W0, plain, W0 + 1, "x"), MAIL_SENT);
    assert_int_equal(rung(), 0);
    for (int i = 0; i < IPC_MAIL_CELLS / 4 + 16; i++)
        assert_int_equal(say(W0, plain, W0 + 1, "x"), MAIL_SENT);
    assert_int_equal(rung(), 1u << (W0 + 2));
    mailbox_wake(&boxes[W0 + 2]);
    drain(W0 + 2);
    assert_int_equal(mailstat_lag(&region, W0 + 2), 0);
    assert_int_equal(own(W0 + 2, IPC_MAIL_SKIPPED), IPC_MAIL_CELLS * 3 / 4 + 8);
}

/* ---- Latest values ---- */

static void test_latest(void **state)
{
    (void)state;
    mailbox_leave(&boxes[W0 + 2]);
    say(W0, late, MAIL_ALL, "one");
    say(W0, late, MAIL_ALL, "two");
    say(W0, late, W0 + 1, "not kept");
    start(W0 + 2);
    start(A);
    assert_int_equal(got[W0 + 2][late].n, 0);
    say(W0, late, MAIL_ALL, "three");
    mailbox_drain(&boxes[W0 + 2], 0, 0);
    const struct got *g = &got[W0 + 2][late];
    assert_int_equal(g->n, 1);
    assert_string_equal(g->text, "two");
    assert_true(g->last.retained);
    assert_int_equal(g->last.number, 2);
    assert_int_equal(g->last.lost, 0);
    drain_all();
    assert_int_equal(g->n, 2);
    assert_string_equal(g->text, "three");
    assert_false(g->last.retained);
    assert_int_equal(got[A][late].n, 2);
    assert_int_equal(got[W0 + 1][late].n, 4);
    assert_int_equal(own(W0 + 2, IPC_MAIL_RETAINED), 1);
    check_accounts();
}

/* Only for whom it was meant. */
static void test_latest_for(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        int to;
        bool worker, primary;
    } rows[] = {
        {"all", MAIL_ALL, true, true},
        {"workers", MAIL_WORKERS, true, false},
        {"others", MAIL_OTHERS, true, false},
        {"primary", MAIL_PRIMARY, false, true},
    };
    mailbox_leave(&boxes[W0 + 2]);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        postmaster_hold(&region);
        assert_int_equal(say(W0, late, rows[i].to, rows[i].label), MAIL_SENT);
        memset(got, 0, sizeof(got));
        start(W0 + 2);
        start(A);
        drain_all();
        if (got[W0 + 2][late].n != rows[i].worker)
            fail_msg("%s: the worker got %u", rows[i].label, got[W0 + 2][late].n);
        if (got[A][late].n != rows[i].primary)
            fail_msg("%s: the primary got %u", rows[i].label, got[A][late].n);
        mailbox_leave(&boxes[W0 + 2]);
        mailbox_leave(&boxes[A]);
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

/* ---- Eviction ---- */

static void test_look(void **state)
{
    (void)state;
    struct postmaster_watch w = {0};
    assert_int_equal(postmaster_look(&w, &region, 0, 5000), -1);
    fill(W0, IPC_MAIL_CELLS, "x");
    drain(W0);
    drain(W0 + 2);
    static const struct {
        const char *label;
        uint64_t now;
        unsigned wait, drain; /* before the look: mail waits; the slow one takes so much */
        int expect;
    } rows[] = {
        {"nobody waits", 1000, 0, 0, -1},
        {"still nobody", 9000, 0, 0, -1},
        {"now somebody: the time begins", 10000, 1, 0, -1},
        {"not yet", 14999, 1, 0, -1},
        {"it has moved", 15000, 1, 5, -1},
        {"not yet again", 19999, 1, 0, -1},
        {"long enough", 20000, 1, 0, W0 + 1},
        {"longer", 21000, 1, 0, W0 + 1},
        {"nobody waits any more", 22000, 0, 0, -1},
        {"the time begins anew", 30000, 1, 0, -1},
        {"up to its half", 35000, 1, IPC_MAIL_CELLS / 2, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        atomic_store(&region.mailboxes[W0].waits, rows[i].wait);
        if (rows[i].drain)
            mailbox_drain(&boxes[W0 + 1], rows[i].drain, 1000000);
        int slot = postmaster_look(&w, &region, rows[i].now, 5000);
        if (slot != rows[i].expect)
            fail_msg("%s: %d, expected %d", rows[i].label, slot, rows[i].expect);
    }
    atomic_store(&region.mailboxes[W0].waits, 0);
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_eviction(void **state)
{
    (void)state;
    fill(W0, 10, "before");
    drain_all();
    say(W0, plain, MAIL_WORKERS, "a");
    say(W0, plain, MAIL_OTHERS, "a");
    say(W0 + 1, plain, MAIL_OTHERS, "a");
    say(W0, plain, W0 + 1, "a");
    say(W0, plain, W0 + 2, "a");
    say(W0, late, MAIL_ALL, "old");
    say(W0, late, MAIL_ALL, "new");
    postmaster_evict(&region, W0 + 1);
    postmaster_evict(&region, W0 + 1);
    assert_int_equal(atomic_load(&region.mail->evictions), 1);
    assert_int_equal(mailbox_wait_ms(&boxes[W0 + 1]), 0);
    fill(W0, 3, "b");
    drain(W0 + 1);
    const struct got *g = &got[W0 + 1][plain];
    assert_int_equal(g->n, 11);
    assert_int_equal(g->lost, 6);
    assert_int_equal(g->last.len, 0);
    assert_int_equal(got[W0 + 1][late].n, 1);
    assert_int_equal(got[W0 + 1][late].lost, 1);
    assert_string_equal(got[W0 + 1][late].text, "new");
    assert_int_equal(own(W0 + 1, IPC_MAIL_LOST), 7);
    fill(W0, 2, "c");
    drain_all();
    assert_int_equal(g->n, 13);
    assert_int_equal(g->lost, 6);
    assert_string_equal(g->text, "c");
    assert_int_equal(got[W0][plain].n + got[W0 + 2][plain].n, 10 + 1 + 1 + 5 + 10 + 4 + 5);
    check_accounts();
}

/* The ring goes round while it sleeps: others do not wait for it. */
static void test_evicted_is_not_waited_for(void **state)
{
    (void)state;
    postmaster_evict(&region, W0 + 1);
    for (int i = 0; i < 3 * IPC_MAIL_CELLS; i++) {
        assert_int_equal(say(W0, plain, MAIL_ALL, "x"), MAIL_SENT);
        if (i % 1000 == 0) {
            drain(W0);
            drain(W0 + 2);
        }
    }
    drain_all();
    assert_int_equal(got[W0 + 1][plain].n, 1);
    assert_int_equal(got[W0 + 1][plain].lost, 3 * IPC_MAIL_CELLS);
    check_accounts();
}

/* A damaged record costs its reader what lies before the head, and no more. */
static void test_corrupt(void **state)
{
    (void)state;
    fill(W0, 5, "x");
    atomic_store(&region.ring[2 * IPC_MAIL_CELL / 8 + 4], 12345);
    drain(W0 + 1);
    const struct got *g = &got[W0 + 1][plain];
    assert_int_equal(g->n, 3);
    assert_int_equal(g->lost, 3);
    assert_int_equal(own(W0 + 1, IPC_MAIL_CORRUPT), 1);
    fill(W0, 1, "y");
    drain(W0 + 1);
    assert_int_equal(g->n, 4);
    assert_int_equal(topic_owed(&region, W0 + 1, (unsigned)plain), 0);
}

static void test_subscribe_later(void **state)
{
    (void)state;
    int more = new_topic("more", 10, false);
    assert_int_equal(say(W0, more, MAIL_ALL, "1"), MAIL_SENT);
    assert_int_equal(mailbox_subscribe(&boxes[W0 + 1], (unsigned)more, true), 0);
    assert_int_equal(say(W0, more, MAIL_ALL, "2"), MAIL_SENT);
    drain_all();
    assert_int_equal(got[W0 + 1][more].n, 1);
    assert_string_equal(got[W0 + 1][more].text, "2");
    assert_int_equal(got[W0][more].n, 0);
    assert_int_equal(topic_owed(&region, W0 + 1, (unsigned)more), 0);
    assert_int_equal(mailbox_subscribe(&boxes[W0 + 1], (unsigned)more, false), 0);
    say(W0, more, MAIL_ALL, "3");
    assert_int_equal(mailbox_subscribe(&boxes[W0 + 1], (unsigned)more, true), 0);
    drain_all();
    assert_int_equal(got[W0 + 1][more].n, 1);
    assert_int_equal(topic_owed(&region, W0 + 1, (unsigned)more), 0);
}

/* ---- The primary ---- */

/* Killed: nothing is said, its memory is gone. */
static void kill_box(int slot, bool hold)
{
    struct mailbox *mb = &boxes[slot];
    free(mb->buffer);
    outbox_clear(&mb->outbox);
    *mb = (struct mailbox){0};
    postmaster_bury(&region, slot, hold);
}

static struct watched {
    unsigned n;
    uint64_t number;
    int to, from;
    char text[64];
} watched;

static void on_watched(void *arg, const struct ipc_mail_record *rec, const void *data)
{
    size_t n = rec->len < sizeof(watched.text) ? rec->len : sizeof(watched.text) - 1;
    assert_ptr_equal(arg, &boxes[0]);
    watched.n++;
    watched.number = rec->number;
    watched.to = rec->to;
    watched.from = rec->from_slot;
    memcpy(watched.text, data, n);
    watched.text[n] = '\0';
}

/* The master sees what is for others, is rung for it, and nobody counts it as a receiver. */
static void test_watch(void **state)
{
    (void)state;
    static const int targets[] = {MAIL_ALL, MAIL_WORKERS, MAIL_OTHERS, W0 + 1};
    struct mail_receipt r = {.on_applied = NULL};

    mailbox_init(&boxes[0], &region, 0, on_message, &boxes[0]);
    boxes[0].on_watched = on_watched;
    assert_int_equal(mailbox_join(&boxes[0]), 0);
    memset(&watched, 0, sizeof(watched));
    say(W0, plain, MAIL_ALL, "unseen");
    drain_all();
    assert_int_equal(watched.n, 0);
    mailbox_watch(&boxes[0], (unsigned)plain, true);
    for (unsigned i = 0; i < ARRAY_LEN(targets); i++) {
        mailbox_park(&boxes[0]);
        rung();
        assert_int_equal(say(W0, plain, targets[i], "seen"), MAIL_SENT);
        assert_true(rung() & 1);
        assert_int_equal(mailbox_wait_ms(&boxes[0]), 0);
        mailbox_wake(&boxes[0]);
        drain(0);
        assert_int_equal(watched.n, i + 1);
        assert_int_equal(watched.number, i + 2);
        assert_int_equal(watched.to, targets[i]);
        assert_int_equal(watched.from, W0);
        assert_string_equal(watched.text, "seen");
    }
    mailbox_park(&boxes[0]);
    say(W0, late, MAIL_ALL, "another topic");
    assert_false(rung() & 1);
    mailbox_wake(&boxes[0]);
    drain_all();
    assert_int_equal(mailbox_publish(&boxes[0], (unsigned)plain, to(MAIL_WORKERS), "own", 3, &r),
                     MAIL_SENT);
    for (int i = 0; i < WORKERS; i++)
        drain(W0 + i);
    assert_int_equal(mailbox_unapplied(&boxes[0], &r, NULL, 0), 0); /* not seen by the master yet */
    mailbox_forget(&boxes[0], &r);
    drain(0);
    assert_string_equal(watched.text, "own");
    assert_int_equal(watched.n, 5);
    assert_int_equal(got[0][plain].n, 0);
    assert_int_equal(mailstat_get(&region, 0, IPC_MAIL_DELIVERED), 0);
    assert_int_equal(mailstat_topic(&region, (unsigned)plain).published, 6);
    mailbox_watch(&boxes[0], (unsigned)plain, false);
    say(W0, plain, MAIL_ALL, "unseen");
    drain_all();
    assert_int_equal(watched.n, 5);
    check_accounts();
}

/* What only is watched is not passed over to make room, and keeps others waiting like what is taken. */
static void test_watch_full(void **state)
{
    (void)state;
    unsigned sent = 0;

    mailbox_init(&boxes[0], &region, 0, on_message, &boxes[0]);
    boxes[0].on_watched = on_watched;
    assert_int_equal(mailbox_join(&boxes[0]), 0);
    memset(&watched, 0, sizeof(watched));
    mailbox_watch(&boxes[0], (unsigned)plain, true);
    while (mailbox_publish(&boxes[0], (unsigned)plain, to(MAIL_WORKERS), "x", 1, NULL) ==
           MAIL_SENT) {
        sent++;
        for (int i = 0; i < WORKERS; i++)
            drain(W0 + i);
    }
    assert_int_equal(sent, IPC_MAIL_CELLS);
    assert_int_equal(watched.n, 0);
    while (mailbox_drain(&boxes[0], 1000, 1000000)) {
    }
    drain_all();
    assert_int_equal(watched.n, sent + 1);
    assert_int_equal(watched.number, sent + 1);
}

static void test_primary_successor(void **state)
{
    (void)state;
    assert_int_equal(say(W0, plain, MAIL_PRIMARY, "nobody"), MAIL_NOBODY);
    assert_int_equal(postmaster_hold(&region), 0);
    assert_int_equal(postmaster_hold(&region), -EEXIST);
    say(W0, plain, MAIL_PRIMARY, "1");
    start(A);
    mailbox_init(&boxes[B], &region, B, on_message, &boxes[B]);
    assert_int_equal(mailbox_join(&boxes[B]), -EBUSY);
    mailbox_leave(&boxes[B]);
    say(W0, plain, MAIL_PRIMARY, "2");
    say(W0, plain, MAIL_WORKERS, "-");
    say(W0, plain, MAIL_ALL, "3");
    assert_int_equal(mailbox_drain(&boxes[A], 2, 1000000), 2);
    assert_string_equal(got[A][plain].text, "2");
    mailbox_leave(&boxes[A]);
    assert_int_equal(region.mailboxes[A].state, IPC_MAIL_HELD);
    assert_int_equal(say(W0, plain, MAIL_PRIMARY, "4"), MAIL_SENT);
    start(B);
    assert_int_equal(region.mailboxes[A].state, IPC_MAIL_OUT);
    say(W0, plain, MAIL_PRIMARY, "5");
    drain_all();
    assert_int_equal(got[B][plain].n, 3);
    assert_string_equal(got[B][plain].text, "5");
    assert_int_equal(got[B][plain].lost, 0);
    check_accounts();
    kill_box(B, true);
    say(W0, plain, MAIL_PRIMARY, "6");
    start(B);
    drain_all();
    assert_int_equal(got[B][plain].n, 4);
    assert_int_equal(got[B][plain].lost, 0);
    kill_box(B, true);
    postmaster_bury(&region, B, false);
    assert_int_equal(say(W0, plain, MAIL_PRIMARY, "7"), MAIL_NOBODY);
    drain_all();
    check_accounts();
}

/* The last one: what it was sent before that was said is there when it looks, and then nobody is told that it was sent. */
static void test_primary_closed(void **state)
{
    (void)state;
    postmaster_hold(&region);
    start(A);
    assert_int_equal(say(W0, plain, MAIL_PRIMARY, "1"), MAIL_SENT);
    assert_int_equal(postmaster_close(&region, true), 0);
    assert_int_equal(say(W0, plain, MAIL_PRIMARY, "2"), MAIL_NOBODY);
    assert_int_equal(say(W0, plain, MAIL_ALL, "3"), MAIL_SENT);
    assert_int_equal(say(W0, plain, A, "an answer"), MAIL_SENT);
    drain_all();
    assert_int_equal(got[A][plain].n, 3);
    mailbox_leave(&boxes[A]);
    assert_int_equal(say(W0, plain, MAIL_PRIMARY, "4"), MAIL_NOBODY);
    assert_int_equal(postmaster_close(&region, false), 0);
    assert_int_equal(say(W0, plain, MAIL_PRIMARY, "5"), MAIL_SENT);
    assert_int_equal(postmaster_close(&region, true), 0);
    postmaster_bury(&region, A, false);
    assert_int_equal(postmaster_hold(&region), 0);
    assert_int_equal(say(W0, plain, MAIL_PRIMARY, "6"), MAIL_SENT);
    start(A);
    drain_all();
    assert_string_equal(got[A][plain].text, "6");
    assert_int_equal(got[A][plain].lost, 0);
    check_accounts();
}

/* What it died of is lost, what was for its incarnation too, the rest is its successor's. */
static void die_of_it(void *arg, const struct mail_message *m)
{
    on_message(arg, m);
    if (m->len && *(const char *)m->data == '!')
        _exit(1);
}

static void test_primary_dies_in_its_handler(void **state)
{
    (void)state;
    postmaster_hold(&region);
    pid_t pid = fork();
    if (pid == 0) {
        start(A);
        boxes[A].on_message = die_of_it;
        fd_event_ring(region.master_bell);
        for (;;)
            mailbox_drain(&boxes[A], 100, 1000000);
    }
    struct pollfd p = {.fd = region.master_bell, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
    say(W0, plain, MAIL_PRIMARY, "1");
    say(W0, plain, A, "for that one");
    say(W0, plain, MAIL_PRIMARY, "!");
    say(W0, plain, A, "for that one");
    say(W0, plain, MAIL_PRIMARY, "2");
    say(W0, plain, MAIL_PRIMARY, "3");
    kill(pid, SIGCONT);
    waitpid(pid, NULL, 0);
    postmaster_bury(&region, A, true);
    start(B);
    drain_all();
    const struct got *g = &got[B][plain];
    assert_int_equal(g->n, 3);
    assert_int_equal(g->lost, 2);
    assert_string_equal(g->text, "3");
    check_accounts();
}

static void test_primary_is_away_too_long(void **state)
{
    (void)state;
    postmaster_hold(&region);
    start(A);
    mailbox_leave(&boxes[A]);
    for (int i = 0; i < 5; i++)
        say(W0, plain, MAIL_PRIMARY, "x");
    postmaster_evict(&region, A);
    assert_int_equal(region.mailboxes[A].state, IPC_MAIL_FORFEIT);
    say(W0, plain, MAIL_PRIMARY, "x");
    start(A);
    say(W0, plain, MAIL_PRIMARY, "y");
    drain_all();
    assert_int_equal(got[A][plain].n, 2);
    assert_int_equal(got[A][plain].lost, 6);
    assert_string_equal(got[A][plain].text, "y");
    check_accounts();
}

/* ---- Receipts ---- */

static int applied;

static void on_applied(struct mail_receipt *r)
{
    (void)r;
    applied++;
}

static unsigned unapplied(const struct mail_receipt *r)
{
    int slots[BOXES];
    unsigned set = 0, n = mailbox_unapplied(&boxes[W0], r, slots, BOXES);
    for (unsigned i = 0; i < n; i++)
        set |= 1u << slots[i];
    return set;
}

static void test_receipt(void **state)
{
    (void)state;
    struct mail_receipt r = {.on_applied = on_applied};
    applied = 0;
    assert_int_equal(mailbox_publish(&boxes[W0], (unsigned)plain, to(MAIL_ALL), "x", 1, &r),
                     MAIL_SENT);
    assert_int_equal(unapplied(&r), 7u << W0);
    drain(W0);
    assert_int_equal(unapplied(&r), 6u << W0);
    start(A); /* too late to count */
    assert_int_equal(unapplied(&r), 6u << W0);
    mailbox_park(&boxes[W0]);
    assert_int_equal(mailbox_wait_ms(&boxes[W0]), -1);
    drain(W0 + 1);
    assert_int_equal(rung(), 1u << W0);
    assert_int_equal(unapplied(&r), 4u << W0);
    assert_int_equal(mailbox_wait_ms(&boxes[W0]), -1);
    mailbox_wake(&boxes[W0]);
    drain(W0);
    assert_int_equal(applied, 0);
    postmaster_bury(&region, W0 + 2, false);
    assert_int_equal(mailbox_wait_ms(&boxes[W0]), 0);
    drain(W0);
    assert_int_equal(applied, 1);
    free(boxes[W0 + 2].buffer);
    boxes[W0 + 2].joined = false;
    assert_int_equal(region.mailboxes[W0].waits, 0);
    struct mail_receipt forgotten = {.on_applied = on_applied};
    mailbox_publish(&boxes[W0], (unsigned)plain, to(MAIL_ALL), "x", 1, &forgotten);
    mailbox_forget(&boxes[W0], &forgotten);
    drain_all();
    drain(W0);
    assert_int_equal(applied, 1);
}

/* In the callback it is not applied yet. */
static struct mail_receipt *asked;
static unsigned in_callback;

static void ask(void *arg, const struct mail_message *m)
{
    (void)arg;
    (void)m;
    in_callback = unapplied(asked);
}

static void test_receipt_in_callback(void **state)
{
    (void)state;
    struct mail_receipt r = {0};
    asked = &r;
    boxes[W0 + 1].on_message = ask;
    mailbox_publish(&boxes[W0], (unsigned)plain, to(W0 + 1), "x", 1, &r);
    drain(W0 + 1);
    assert_int_equal(in_callback, 2u << W0);
    assert_int_equal(unapplied(&r), 0);
    mailbox_forget(&boxes[W0], &r);
}

static void test_receipt_in_outbox(void **state)
{
    (void)state;
    struct mail_receipt r = {.on_applied = on_applied}, dropped = {.on_applied = on_applied};
    applied = 0;
    fill(W0, IPC_MAIL_CELLS, "x");
    assert_int_equal(mailbox_publish(&boxes[W0], (unsigned)plain, to(MAIL_ALL), "x", 1, &r),
                     MAIL_QUEUED);
    assert_int_equal(mailbox_publish(&boxes[W0], (unsigned)plain, to(W0 + 2), "x", 1, &dropped),
                     MAIL_QUEUED);
    assert_int_equal(unapplied(&r), 1u << W0);
    mailbox_leave(&boxes[W0 + 2]);
    for (int i = 0; i < 3; i++)
        drain_all();
    assert_int_equal(applied, 2);
    assert_int_equal(r.state, MAIL_RECEIPT_SENT);
    assert_int_equal(dropped.state, MAIL_RECEIPT_DROPPED);
}

/* ---- Death with the lock ---- */

/* The journal of the last commit is there, its counts are not: as after a death between the two. */
static void test_recovery_after_commit(void **state)
{
    (void)state;
    say(W0, plain, MAIL_OTHERS, "x");
    say(W0, plain, MAIL_OTHERS, "x");
    pid_t pid = fork();
    if (pid == 0) {
        ring_enter(&region, boxes[W0].me);
        struct ipc_topic *t = &region.topics[plain];
        atomic_fetch_sub(&t->published, 1);
        atomic_fetch_sub(&t->sent[IPC_MAIL_TO_WORKERS], 1);
        atomic_fetch_sub(&t->bytes, 1);
        atomic_fetch_add(&region.mailboxes[W0].extra[plain], 1);
        atomic_fetch_sub(&region.mail->seq, 1);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    say(W0 + 1, plain, MAIL_ALL, "y");
    assert_int_equal(own(W0 + 1, IPC_MAIL_RECOVERED), 1);
    drain_all();
    assert_int_equal(got[W0 + 1][plain].last.seq, 3);
    assert_int_equal(got[W0 + 1][plain].last.number, 3);
    assert_int_equal(mailstat_topic(&region, (unsigned)plain).bytes, 3);
    check_accounts();
}

/* A value that was written but not committed is not given to anybody. */
static void test_recovery_before_commit(void **state)
{
    (void)state;
    say(W0, late, MAIL_ALL, "good");
    pid_t pid = fork();
    if (pid == 0) {
        struct ipc_mail_record rec = {
            .pos = ring_head(&region), .len = 3, .topic = (uint16_t)late, .to = MAIL_ALL};
        ring_enter(&region, boxes[W0].me);
        topic_keep(&region, &rec, "bad");
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    say(W0 + 1, plain, MAIL_ALL, "x");
    mailbox_leave(&boxes[W0 + 2]);
    start(W0 + 2);
    drain_all();
    assert_string_equal(got[W0 + 2][late].text, "good");
    assert_int_equal(own(W0 + 1, IPC_MAIL_RECOVERED), 1);
    check_accounts();
}

/* M8: somebody has been stopped with the lock. Its mail goes out when the lock is free. */
static void test_busy(void **state)
{
    (void)state;
    assert_int_equal(ring_enter(&region, boxes[W0 + 2].me), RING_OK);
    uint64_t before = clock_us_now();
    assert_int_equal(say(W0, plain, MAIL_ALL, "x"), MAIL_QUEUED);
    assert_true(clock_us_now() - before < 2000);
    assert_int_equal(mailbox_wait_ms(&boxes[W0]), 1);
    drain(W0);
    assert_int_equal(mailbox_wait_ms(&boxes[W0]), 1);
    ring_leave(&region);
    drain_all();
    drain_all();
    assert_int_equal(got[W0 + 1][plain].n, 1);
    assert_int_equal(mailbox_wait_ms(&boxes[W0]), -1);
    assert_true(own(W0, IPC_MAIL_BUSY) >= 2);
}

static void test_names(void **state)
{
    (void)state;
    for (int c = 0; c < IPC_MAIL_COUNTERS; c++) {
        const struct mailstat_name *n = mailstat_counter((enum ipc_mail_counter)c);
        if (!n->name || strncmp(n->name, "cserver_mail_", 13) != 0 || !n->help)
            fail_msg("counter %d has no name or no help", c);
        for (int d = 0; d < c; d++)
            if (strcmp(n->name, mailstat_counter((enum ipc_mail_counter)d)->name) == 0)
                fail_msg("%s: named twice", n->name);
    }
    for (int h = 0; h < IPC_MAIL_HISTOGRAMS; h++)
        assert_non_null(mailstat_histogram((enum ipc_mail_histogram)h)->help);
    for (int s = 0; s < IPC_MAIL_STATES; s++)
        assert_string_not_equal(mailstat_state_name((enum ipc_mail_state)s), "unknown");
    for (int i = 0; i <= MAIL_BROKEN; i++)
        assert_string_not_equal(mailbox_result_name((enum mail_result)i), "?");
    print_message("rows: %d\n", IPC_MAIL_COUNTERS);
}

/* ---- The storm ------------------------------------------------------------------------------
 *
 * Processes send to all and take from all; each message says who sent it, its how-manieth it is, and is filled with a
 * pattern. The parent kills at random moments, buries, starts successors, and stops some for a while so that they are
 * evicted. A receiver notes what is wrong: torn, out of order, or a gap that was not reported. */

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 1)
        storm_seconds = atoi(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(test_topics),
        TEST(test_topics_run_out),
        TEST(test_targets),
        TEST(test_refusals),
        TEST(test_order),
        TEST(test_loop),
        TEST(test_bells),
        TEST(test_bell_is_heard),
        TEST(test_bell_kinds),
        TEST(test_bury_rings_all),
        TEST(test_full),
        TEST(test_outbox_is_full),
        TEST(test_sizes),
        TEST(test_sleeper_is_nudged),
        TEST(test_latest),
        TEST(test_latest_for),
        TEST(test_look),
        TEST(test_eviction),
        TEST(test_evicted_is_not_waited_for),
        TEST(test_corrupt),
        TEST(test_subscribe_later),
        TEST(test_watch),
        TEST(test_watch_full),
        TEST(test_primary_successor),
        TEST(test_primary_closed),
        TEST(test_primary_dies_in_its_handler),
        TEST(test_primary_is_away_too_long),
        TEST(test_receipt),
        TEST(test_receipt_in_callback),
        TEST(test_receipt_in_outbox),
        TEST(test_recovery_after_commit),
        TEST(test_recovery_before_commit),
        TEST(test_busy),
        TEST(test_names),
        cmocka_unit_test_setup_teardown(test_storm, storm_set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
