/* What the master tells about who comes and goes is never dropped, however full the mail is. */
#include "proc/master.h"

#include "ipc/doorbell.h"
#include "ipc/member.h"
#include "ipc/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define READER IPC_SLOT_WORKERS
#define SLOT   (IPC_SLOT_WORKERS + 1) /* of whom is told */
#define MANY   1000

static struct master m;
static struct mailbox reader;
static struct member_event told[MANY + 2];
static unsigned ntold, nfilled;

static void on_message(void *arg, const struct mail_message *mail)
{
    (void)arg;
    assert_int_equal(mail->lost, 0);
    if (mail->topic != m.members) {
        nfilled++;
    } else if (ntold < MANY + 2) {
        memcpy(&told[ntold], mail->data, sizeof told[0]);
        ntold++;
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(&m, 0, sizeof m);
    ntold = nfilled = 0;
    if (region_new(&m.region, 2) < 0)
        return -1;
    atomic_store(&m.region.mail->doorbell, IPC_DOORBELL_EVENTFD);
    mailroom_open(&m);
    mailbox_init(&reader, &m.region, READER, on_message, NULL);
    mailbox_subscribe(&reader, m.members, true);
    return mailbox_join(&reader);
}

static int tear_down(void **state)
{
    (void)state;
    mailroom_close(&m);
    mailbox_leave(&reader);
    region_free(&m.region);
    return 0;
}

/* Until nothing fits any more, not even the smallest message; how many it took. */
static unsigned fill(void)
{
    static const size_t sizes[] = {IPC_MAIL_MAX, 1000, 0};
    static const char data[IPC_MAIL_MAX];
    unsigned n = 0;
    int topic = topic_new(&m.region, &(struct topic_spec){"big", "test", IPC_MAIL_MAX, false});

    mailbox_subscribe(&reader, (unsigned)topic, true);
    for (size_t i = 0; i < 3; i++)
        while (mailbox_publish(&m.mail, (unsigned)topic, (struct mail_target){.to = MAIL_ALL}, data,
                               sizes[i], NULL) != MAIL_AGAIN)
            n++;
    return n;
}

static void read_all(void)
{
    do
        mailroom_park(&m);
    while (mailbox_drain(&reader, 10000, 1000000) > 0 || !mailbox_outbox_empty(&m.mail));
}

static void test_events(void **state)
{
    (void)state;
    atomic_store(&region_slot(&m.region, SLOT)->incarnation, 7);
    mailroom_joined(&m, SLOT);
    mailroom_left(&m, SLOT, true, 9);
    read_all();
    assert_int_equal(ntold, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(told[i].slot, SLOT);
        assert_int_equal(told[i].incarnation, 7);
        assert_int_equal(told[i].left, i == 2);
        assert_int_equal(told[i].signal, i == 2 ? 9 : 0);
    }
}

static void test_no_room(void **state)
{
    unsigned filled = fill();

    (void)state;
    for (uint32_t i = 1; i <= MANY; i++) {
        atomic_store(&region_slot(&m.region, SLOT)->incarnation, i);
        mailroom_joined(&m, SLOT);
        mailroom_park(&m);
    }
    assert_int_equal(ntold, 0);
    read_all();
    assert_int_equal(nfilled, filled);
    assert_int_equal(ntold, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(told[i].incarnation, i + 1);
    mailroom_left(&m, SLOT, false, 0);
    read_all();
    assert_int_equal(ntold, MANY + 1);
}

/* Nobody reads them before the end. */
static void test_given_up(void **state)
{
    (void)state;
    fill();
    mailroom_joined(&m, SLOT);
    mailroom_left(&m, SLOT, false, 0);
}

static void test_failed(void **state)
{
    (void)state;
    atomic_store(&region_slot(&m.region, SLOT)->incarnation, 2);
    atomic_store(&m.region.mailboxes[SLOT].incarnation, 1);
    mailroom_failed(&m, SLOT, 0);
    read_all();
    assert_int_equal(ntold, 0); /* it had not joined: nobody could write to it */
    atomic_store(&m.region.mailboxes[SLOT].incarnation, 2);
    mailroom_failed(&m, SLOT, 11);
    read_all();
    assert_int_equal(ntold, 1);
    assert_int_equal(told[0].left, 2);
    assert_int_equal(told[0].signal, 11);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_events),
        TEST(test_no_room),
        TEST(test_given_up),
        TEST(test_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
