/* doorbell_test.c - who is rung, and that it is heard. */
#include "ipc/doorbell.h"

#include "mailbox_fake.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bells),
        TEST(test_bell_is_heard),
        TEST(test_bell_kinds),
        TEST(test_bury_rings_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
