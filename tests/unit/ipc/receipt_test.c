/* receipt_test.c - that all have handled a message. */
#include "ipc/receipt.h"

#include "mailbox_fake.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_receipt),
        TEST(test_receipt_in_callback),
        TEST(test_receipt_in_outbox),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
