/* mailbox_test.c - who gets what, what is refused, order, what happens when all is full, latest values, recovery. */
#include "ipc/mailbox.h"

#include "mailbox_fake.h"

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

/* ---- Full, outbox ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_targets),
        TEST(test_refusals),
        TEST(test_order),
        TEST(test_loop),
        TEST(test_full),
        TEST(test_outbox_is_full),
        TEST(test_sizes),
        TEST(test_sleeper_is_nudged),
        TEST(test_latest),
        TEST(test_latest_for),
        TEST(test_recovery_after_commit),
        TEST(test_recovery_before_commit),
        TEST(test_busy),
        TEST(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
