/* Parcels and their answers over a real pair of sockets: what comes is what was sent, what is none is refused, and what was
 * answered is heard though the other side has gone. */
#include "serve/parcel.h"

#include "base/check.h"
#include "ipc/fdpass.h"
#include "os/fd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];
static char room[PARCEL_MAX];

static int set_up(void **state)
{
    (void)state;
    return fd_pair(SOCK_SEQPACKET, pair);
}

static int tear_down(void **state)
{
    (void)state;
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    return 0;
}

static struct parcel parcel(uint32_t serial)
{
    return (struct parcel){.serial = serial,
                           .mail = 1ull << 40,
                           .module = CS_S("sse"),
                           .site = CS_S("default"),
                           .route = CS_S(""),
                           .listener = CS_S("127.0.0.1:80"),
                           .saved = CS_S("a\0b")};
}

static int send_one(uint32_t serial)
{
    struct parcel p = parcel(serial);
    return parcel_send(pair[0], &p, pair[0]);
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct parcel p, sent = parcel(7);
    struct parcel_answer a;
    int fd;
    assert_int_equal(parcel_receive(pair[1], &p, room, &fd), 0);
    assert_int_equal(send_one(7), 0);
    assert_int_equal(parcel_receive(pair[1], &p, room, &fd), 1);
    assert_true(fd >= 0 && fd != pair[0]);
    close(fd);
    assert_int_equal(p.serial, 7);
    assert_true(p.mail == sent.mail);
    assert_true(cs_str_eq(p.module, sent.module) && cs_str_eq(p.site, sent.site) && !p.route.n);
    assert_true(cs_str_eq(p.listener, sent.listener) && cs_str_eq(p.saved, sent.saved));
    assert_int_equal(parcel_hear(pair[0], &a), 0);
    assert_int_equal(parcel_answer(pair[1], (struct parcel_answer){7, PARCEL_FULL}), 0);
    assert_int_equal(parcel_hear(pair[0], &a), 1);
    assert_true(a.serial == 7 && a.verdict == PARCEL_FULL);
    assert_int_equal(parcel_hear(pair[0], &a), 0);
}

static void test_sizes(void **state)
{
    (void)state;
    static char bytes[PARCEL_MAX];
    unsigned rows = 0;
    size_t fits = 0;
    for (size_t n = 0; n <= sizeof bytes; n += n < 3900 ? 300 : 1, rows++) {
        struct parcel got, p = {.saved = {bytes, n}};
        int fd, rc = parcel_send(pair[0], &p, pair[0]);
        memset(bytes, (int)n, n);
        if (rc == 0)
            assert_int_equal(parcel_receive(pair[1], &got, room, &fd), 1);
        else
            assert_int_equal(rc, -E2BIG);
        if (rc == 0 && (got.saved.n != n || n < fits))
            fail_msg("%zu bytes: %zu have come", n, got.saved.n);
        if (rc == 0)
            close(fd);
        fits = rc == 0 ? n : fits;
    }
    assert_true(fits >= PARCEL_SAVED && fits < sizeof bytes);
    print_message("rows: %u\n", rows);
}

/* What another program could send is no parcel, and its descriptors are closed. */
static void test_no_parcels(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        size_t n;
        unsigned char fill;
    } rows[] = {
        {"one byte", 1, 0},
        {"a head cut short", 20, 0},
        {"too much for the head", 100, 0},
        {"long texts", 200, 0xff},
        {"texts that are not there", 32, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned char bytes[PARCEL_MAX];
        struct parcel p;
        int fd, before = dup(0);
        close(before);
        memset(bytes, rows[i].fill, sizeof bytes);
        assert_int_equal(fdpass_put(pair[0], bytes, rows[i].n, pair[0]), 0);
        int rc = parcel_receive(pair[1], &p, room, &fd);
        if (rc != -EPROTO || fd != -1)
            fail_msg("%s: %d", rows[i].label, rc);
        int after = dup(0);
        close(after);
        assert_int_equal(after, before);
    }
    assert_int_equal(send(pair[0], "xxxxxxxxxxxxxxxx", 16, 0), 16);
    struct parcel p;
    int fd;
    assert_int_equal(parcel_receive(pair[1], &p, room, &fd), -EPROTO);
    print_message("rows: %zu\n", ARRAY_LEN(rows) + 1);
}

/* An heir answers some, and dies with others unread. */
static void test_answers_outlive_the_heir(void **state)
{
    (void)state;
    struct parcel_answer a;
    struct parcel p;
    int fd;
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(send_one(i), 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(parcel_receive(pair[1], &p, room, &fd), 1);
        close(fd);
        assert_int_equal(parcel_answer(pair[1], (struct parcel_answer){i, PARCEL_TAKEN}), 0);
    }
    fd_close(&pair[1]);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(parcel_hear(pair[0], &a), 1);
        assert_int_equal(a.serial, i);
    }
    assert_int_equal(parcel_hear(pair[0], &a), -EPIPE);
    assert_int_equal(send_one(10), -EPIPE);
}

/* The old worker dies with answers unread. */
static void test_parcels_outlive_the_sender(void **state)
{
    (void)state;
    struct parcel p;
    int fd;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(send_one(i), 0);
    assert_int_equal(parcel_receive(pair[1], &p, room, &fd), 1);
    close(fd);
    assert_int_equal(parcel_answer(pair[1], (struct parcel_answer){0, PARCEL_TAKEN}), 0);
    fd_close(&pair[0]);
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(parcel_receive(pair[1], &p, room, &fd), 1);
        assert_int_equal(p.serial, i);
        close(fd);
    }
    assert_int_equal(parcel_receive(pair[1], &p, room, &fd), -EPIPE);
}

static void test_a_full_channel(void **state)
{
    (void)state;
    uint32_t n = 0;
    int rc;
    while ((rc = send_one(n)) == 0)
        n++;
    assert_true(n >= 64); /* as many as a worker has on their way */
    assert_true(rc == -EAGAIN || rc == -ETOOMANYREFS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_there_and_back),
        TEST(test_sizes),
        TEST(test_no_parcels),
        TEST(test_answers_outlive_the_heir),
        TEST(test_parcels_outlive_the_sender),
        TEST(test_a_full_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
