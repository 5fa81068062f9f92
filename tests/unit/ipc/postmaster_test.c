/* postmaster_test.c - eviction, a watch that falls behind, and the place of the primary. */
#include "ipc/postmaster.h"

#include "mailbox_fake.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
