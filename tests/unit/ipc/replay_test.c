/* What is still in the ring for those who come later: which messages, what counts as missing, the ring's end, payloads
 * that look like records, damage, and a writer that never rests. */
#include "ipc/replay.h"

#include "base/check.h"
#include "base/clock.h"
#include "ipc/postmaster.h"
#include "ipc/topic.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 2
#define W0      IPC_SLOT_WORKERS
#define W1      (IPC_SLOT_WORKERS + 1)
#define PRIMARY IPC_SLOT_PRIMARY_A
#define CELLS   (uint64_t) IPC_MAIL_CELLS

static struct region region;
static struct mailbox boxes[W1 + 1];
static unsigned plain, other, big;

static void on_message(void *arg, const struct mail_message *m)
{
    (void)arg;
    (void)m;
}

static void start(int slot)
{
    struct mailbox *mb = &boxes[slot];
    atomic_fetch_add(&region.slots[slot].incarnation, 1);
    mailbox_init(mb, &region, slot, on_message, mb);
    mailbox_subscribe(mb, plain, true);
    assert_int_equal(mailbox_join(mb), 0);
}

static unsigned new_topic(const char *name, size_t max_len)
{
    return (unsigned)topic_new(&region, &(struct topic_spec){name, "test", max_len, false});
}

static int set_up(void **state)
{
    (void)state;
    if (region_new(&region, WORKERS) < 0)
        return -1;
    atomic_store(&region.mail->doorbell, IPC_DOORBELL_EVENTFD);
    plain = new_topic("plain", 1000);
    other = new_topic("other", 1000);
    big = new_topic("big", IPC_MAIL_MAX);
    memset(boxes, 0, sizeof(boxes));
    start(W0);
    start(W1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i <= W1; i++)
        if (boxes[i].joined)
            mailbox_leave(&boxes[i]);
    region_free(&region);
    return 0;
}

static void drain_all(void)
{
    for (int i = 0; i <= W1; i++)
        while (boxes[i].joined && mailbox_drain(&boxes[i], 1000, 1000000)) {
        }
}

static void send(int from, unsigned topic, int to, const void *data, size_t len)
{
    struct mail_target target = {.to = to};
    assert_int_equal(mailbox_publish(&boxes[from], topic, target, data, len, NULL), MAIL_SENT);
}

static void say(unsigned topic, int to, const char *text)
{
    send(W0, topic, to, text, strlen(text));
}

/* Its number in the topic is what a message says, as many times as it has room for. */
static void say_number(unsigned topic, uint64_t number, size_t len)
{
    static uint64_t data[IPC_MAIL_MAX / sizeof(uint64_t)];
    for (size_t i = 0; i < (len + 7) / 8; i++)
        data[i] = number;
    send(W0, topic, MAIL_ALL, data, len);
}

struct found {
    unsigned n;
    uint64_t first, last;
    bool missing, beyond;
    char text[200]; /* of all, with a blank behind each */
};

/* All that was taken, without gaps in the numbers, and whole where `numbers` were sent. */
static struct found read_all(struct replay rp, unsigned topic, bool numbers)
{
    struct mail_message m;
    struct found f = {0};
    f.missing = rp.missing;
    f.beyond = rp.beyond;
    for (; replay_next(&rp, &m); f.n++) {
        size_t at = strlen(f.text);
        if ((uintptr_t)m.data % 16)
            fail_msg("%p is no place for data", m.data);
        if (f.n && numbers && m.number != f.last + 1)
            fail_msg("%llu comes behind %llu", (unsigned long long)m.number,
                     (unsigned long long)f.last);
        for (size_t i = 0; numbers && i + 8 <= m.len; i += 8)
            if (memcmp((const char *)m.data + i, &m.number, 8) != 0)
                fail_msg("number %llu is torn at %zu", (unsigned long long)m.number, i);
        f.first = f.n ? f.first : m.number;
        f.last = m.number;
        if (!numbers && m.len < sizeof(f.text) - at - 2)
            snprintf(f.text + at, sizeof(f.text) - at, "%.*s ", (int)m.len, (const char *)m.data);
        assert_int_equal(m.topic, topic);
        assert_false(m.retained || m.lost || m.call);
    }
    replay_free(&rp);
    return f;
}

static struct found look(int slot, unsigned topic, uint64_t after, bool numbers)
{
    struct replay rp;
    replay_take(&rp, &boxes[slot], topic, after);
    return read_all(rp, topic, numbers);
}

static struct found look_since(int slot, unsigned topic, uint64_t from, bool numbers)
{
    struct replay rp;
    replay_take_since(&rp, &boxes[slot], topic, from);
    return read_all(rp, topic, numbers);
}

/* ---- Which ones ---- */

static void test_after(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        uint64_t after;
        const char *text;
        bool missing, beyond;
    } rows[] = {
        {"from the first", 0, "a b c ", false, false},
        {"from the second", 1, "b c ", false, false},
        {"the last one", 2, "c ", false, false},
        {"nothing new", 3, "", false, false},
        {"beyond", 4, "", false, true},
        {"far beyond", UINT64_MAX, "", true, true},
    };
    say(other, MAIL_ALL, "x");
    say(plain, MAIL_ALL, "a");
    say(other, MAIL_ALL, "y");
    say(plain, MAIL_WORKERS, "b");
    say(plain, MAIL_ALL, "c");
    say(other, MAIL_ALL, "z");
    drain_all();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct found f = look(W1, plain, rows[i].after, false);
        if (strcmp(f.text, rows[i].text) != 0 || f.beyond != rows[i].beyond)
            fail_msg("%s: \"%s\", beyond %d", rows[i].label, f.text, f.beyond);
        if (f.missing != rows[i].missing)
            fail_msg("%s: missing %d", rows[i].label, f.missing);
    }
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        int to;
        unsigned n;
    } rows[] = {
        {"all", MAIL_ALL, 1},       {"workers", MAIL_WORKERS, 1},
        {"others", MAIL_OTHERS, 0}, {"primary", MAIL_PRIMARY, 0},
        {"itself", W0, 0},          {"another worker", W1, 0},
    };
    start(PRIMARY);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        say(plain, rows[i].to, rows[i].label);
        drain_all();
        for (int slot = PRIMARY; slot <= W1; slot++) {
            struct found f = boxes[slot].joined ? look(slot, plain, i, false) : (struct found){0};
            if (boxes[slot].joined && (f.n != rows[i].n || f.missing || f.beyond))
                fail_msg("%s: slot %d finds %u", rows[i].label, slot, f.n);
        }
    }
    assert_string_equal(look(W1, plain, 0, false).text, "all workers ");
    print_message("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_who_sent_it(void **state)
{
    (void)state;
    struct replay rp;
    struct mail_message m;
    say(other, MAIL_ALL, "1");
    send(W1, plain, MAIL_ALL, "2", 1);
    drain_all();
    replay_take(&rp, &boxes[W0], plain, 0);
    assert_true(replay_next(&rp, &m));
    assert_int_equal(m.from_slot, W1);
    assert_int_equal(m.from_incarnation, 1);
    assert_int_equal(m.seq, 2);
    assert_int_equal(m.number, 1);
    assert_false(replay_next(&rp, &m));
    assert_false(replay_next(&rp, &m));
    replay_free(&rp);
}

/* Two processes, at any two places: what one has had and the other has not. */
static void test_since_another_was_there(void **state)
{
    (void)state;
    uint64_t cursors[6];
    for (unsigned i = 0; i <= 5; i++) {
        cursors[i] = boxes[W0].cursor;
        say(other, MAIL_ALL, "x");
        say_number(plain, i + 1, 8 * i);
        say(plain, W1, "for one");
        while (boxes[W0].cursor < ring_head(&region))
            mailbox_drain(&boxes[W0], 1, 1000000);
    }
    unsigned rows = 0;
    for (unsigned taken = 0; taken <= 6; taken++) {
        for (unsigned from = 0; from <= 5; from++, rows++) {
            struct found f = look_since(W1, plain, cursors[from], false);
            unsigned n = taken > from ? taken - from : 0;
            if (f.n != n || f.missing || f.beyond)
                fail_msg("from %u, with %u taken: %u, missing %d", from, taken, f.n, f.missing);
        }
        mailbox_drain(&boxes[W1], 2, 1000000); /* what is for others goes along */
    }
    print_message("rows: %u\n", rows);
}

/* What has not been taken yet comes as mail. */
static void test_ends_at_the_cursor(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 5; i++)
        say_number(plain, i, 8);
    for (unsigned taken = 0; taken <= 5; taken++) {
        struct found f = look(W1, plain, 0, true);
        assert_int_equal(f.n, taken);
        assert_false(f.missing || f.beyond);
        assert_false(look(W1, plain, 5, true).beyond);
        assert_int_equal(mailbox_drain(&boxes[W1], 1, 1000000), taken < 5);
    }
}

static void test_nothing_was_sent(void **state)
{
    (void)state;
    struct found f = look(W0, plain, 0, true);
    assert_false(f.n || f.missing || f.beyond);
    assert_true(look(W0, plain, 1, true).beyond);
    say(other, MAIL_ALL, "x");
    drain_all();
    f = look(W0, plain, 0, true);
    assert_false(f.n || f.missing || f.beyond);
}

static void test_newborn_finds_what_was_before(void **state)
{
    (void)state;
    mailbox_leave(&boxes[W1]);
    for (unsigned i = 1; i <= 5; i++)
        say_number(plain, i, 8);
    postmaster_bury(&region, W1, false);
    start(W1);
    struct found f = look(W1, plain, 2, true);
    assert_int_equal(f.n, 3);
    assert_int_equal(f.first, 3);
    assert_false(f.missing);
}

/* ---- The ring goes round ---- */

/* All sizes, in all places of the ring: never a gap, never torn, and most of the ring is there. */
static void test_wraps(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 8, 64, 72, 192, 200, 1000, 4096, 20000, 65528, 65536};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        tear_down(NULL);
        set_up(NULL);
        uint64_t cells = ring_cells(sizes[i]), n = 0;
        while (n * cells < 3 * CELLS) {
            say_number(big, ++n, sizes[i]);
            drain_all();
            if (n % (1 + CELLS / cells / 16))
                continue;
            struct found f = look(W1, big, 0, true);
            uint64_t there = n < CELLS / cells ? n : CELLS / cells;
            if (f.last != n || f.n > there ||
                f.n * cells + 2 * cells + CELLS / IPC_MAIL_STARTS < there * cells)
                fail_msg("%zu bytes: %u of %llu, to %llu", sizes[i], f.n, (unsigned long long)n,
                         (unsigned long long)f.last);
            if (f.missing != (f.first > 1))
                fail_msg("%zu bytes: missing %d, from %llu", sizes[i], f.missing,
                         (unsigned long long)f.first);
            if (look(W1, big, f.first - 1, true).missing || !look(W1, big, n + 1, true).beyond)
                fail_msg("%zu bytes: the edges", sizes[i]);
        }
    }
    print_message("rows: %zu\n", ARRAY_LEN(sizes));
}

static void test_mixed_sizes(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (unsigned n = 1; n <= 3000; n++) {
        int r = rand_r(&seed);
        say_number(big, n, (size_t)(r % 20 ? r % 1000 : r % (IPC_MAIL_MAX + 1)));
        if (n % 3 == 0)
            say(plain, W1, "for one");
        drain_all();
        if (n % 100 == 0)
            assert_int_equal(look(W0, big, 0, true).last, n);
    }
}

/* All of the topic has gone: its count still tells that there was something. */
static void test_all_overwritten(void **state)
{
    (void)state;
    say_number(plain, 1, 8);
    say_number(plain, 2, 8);
    for (unsigned i = 0; i < CELLS + 10; i++) {
        say(other, MAIL_ALL, "x");
        drain_all();
    }
    struct found f = look(W1, plain, 1, true);
    assert_true(f.n == 0 && f.missing && !f.beyond);
    f = look(W1, plain, 2, true);
    assert_true(f.n == 0 && !f.missing && !f.beyond);
    assert_true(look(W1, plain, 3, true).beyond);
}

static void test_since_long_ago(void **state)
{
    (void)state;
    unsigned n = 0;
    uint64_t from = boxes[W1].cursor;
    for (; n < CELLS + 10; drain_all())
        say_number(plain, ++n, 8);
    struct found f = look_since(W1, plain, from, true);
    assert_true(f.missing && f.n > CELLS / 2 && f.last == n);
    f = look_since(W1, plain, boxes[W1].cursor - CELLS / 2, true);
    assert_true(!f.missing && f.n == CELLS / 2 && f.last == n);
    f = look_since(W1, plain, boxes[W1].cursor, true);
    assert_true(!f.missing && f.n == 0);
    f = look_since(W1, plain, boxes[W1].cursor + 10, true);
    assert_true(!f.missing && f.n == 0);
}

/* It stands still behind what others have written over. */
static void test_evicted(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 10; i++)
        say_number(plain, i, 8);
    drain_all();
    postmaster_evict(&region, W1);
    for (unsigned i = 11; i <= 3 * CELLS; i++) {
        say_number(plain, i, 8);
        if (i % 500 == 0)
            while (mailbox_drain(&boxes[W0], 1000, 1000000)) {
            }
    }
    struct found f = look(W1, plain, 0, true);
    assert_true(f.n == 0 && f.missing && !f.beyond);
    drain_all();
    f = look(W1, plain, 0, true);
    assert_true(f.n > CELLS - 2 * CELLS / IPC_MAIL_STARTS && f.missing);
    assert_int_equal(f.last, 3 * CELLS);
}

/* ---- What must not be believed ---- */

/* The words of a ring in which messages of one cell lie at 1, 2, 3 ... */
static void forge(char *words)
{
    set_up(NULL);
    for (unsigned i = 0; i < 512; i++)
        say(plain, MAIL_ALL, "forged");
    memcpy(words, (const void *)region.ring, 512 * IPC_MAIL_CELL);
    tear_down(NULL);
}

static void test_payload_like_records(void **state)
{
    (void)state;
    static char words[512 * IPC_MAIL_CELL];
    tear_down(NULL);
    forge(words);
    set_up(NULL);
    /* At 0: its payload begins half a cell later, so what was at 1 lies at 1 again. */
    size_t skip = IPC_MAIL_CELL - sizeof(struct ipc_mail_record);
    send(W0, big, MAIL_ALL, words + IPC_MAIL_CELL - skip, sizeof(words) - IPC_MAIL_CELL);
    drain_all();
    struct ipc_mail_record rec;
    assert_true(ring_read(&region, 1, &rec) && ring_read(&region, 400, &rec));
    assert_int_equal(look(W1, plain, 0, false).n, 0);
    /* The end of the readable part wanders through it. */
    for (uint64_t n = 0; n + 512 < CELLS + 520; n++) {
        say(other, MAIL_ALL, "x");
        drain_all();
        if (n + 512 > CELLS - 10 && look(W1, plain, 0, false).n)
            fail_msg("after %llu a forged record is believed", (unsigned long long)n);
    }
}

/* What lies before a damaged record is left out, and said to be missing. */
static void test_damaged(void **state)
{
    (void)state;
    uint64_t part = CELLS / IPC_MAIL_STARTS;
    for (unsigned i = 1; i <= 5 * part; i++)
        say_number(plain, i, 8);
    drain_all();
    assert_int_equal(look(W1, plain, 0, true).n, 5 * part);
    for (unsigned word = 0; word < 7; word++) {
        _Atomic uint64_t *w = &region.ring[(2 * part + 5) * IPC_MAIL_CELL / 8 + word];
        uint64_t good = atomic_load(w);
        if (word == 2 || word == 3)
            continue; /* number and time are told, not relied upon */
        atomic_store(w, good ^ 0x21);
        struct found f = look(W1, plain, 0, true);
        if (f.n != 2 * part || f.first != 3 * part + 1 || !f.missing)
            fail_msg("word %u: %u from %llu", word, f.n, (unsigned long long)f.first);
        atomic_store(w, good);
    }
    atomic_store(&region.ring[0], 99);
    struct found f = look(W1, plain, 0, true);
    assert_int_equal(f.first, part + 1);
    assert_true(f.missing);
    memset((void *)region.ring, 0xff, CELLS * IPC_MAIL_CELL);
    f = look(W1, plain, 0, true);
    assert_true(f.n == 0 && f.missing && !f.beyond);
}

/* A writer that has died in the middle has written over what it had reserved. */
static void test_dead_writer(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= CELLS; i++) {
        say_number(plain, i, 8);
        if (i % 100 == 0)
            drain_all();
    }
    drain_all();
    assert_int_equal(look(W1, plain, 0, true).first, 1);
    atomic_store(&region.mail->reserved, ring_head(&region) + 700);
    memset((void *)region.ring, 0xaa, 700 * IPC_MAIL_CELL);
    struct found f = look(W1, plain, 0, true);
    assert_true(f.missing && f.first > 700 && f.first <= 700 + CELLS / IPC_MAIL_STARTS + 1);
    say_number(plain, CELLS + 1, 8);
    drain_all();
    f = look(W1, plain, 0, true);
    assert_true(f.first > 700);
    assert_int_equal(f.last, CELLS + 1);
}

/* ---- A writer that never rests ---- */

static void write_for_ever(void)
{
    static uint64_t data[IPC_MAIL_MAX / 8];
    unsigned seed = 4711;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t n = 1;; mailbox_drain(&boxes[W0], 100, 1000)) {
        size_t len = (size_t)(rand_r(&seed) % (IPC_MAIL_MAX + 1)) / 8 * 8;
        for (size_t i = 0; i < len / 8; i++)
            data[i] = n;
        if (mailbox_publish(&boxes[W0], big, (struct mail_target){.to = MAIL_ALL}, data, len,
                            NULL) <= MAIL_QUEUED)
            n++;
    }
}

/* Long messages: it writes where the walk begins. */
static void test_restless_writer(void **state)
{
    (void)state;
    uint64_t until = clock_us_now() + 60000000, last = 0, sum = 0;
    unsigned cut = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        write_for_ever();
    while (cut < 1000 && clock_us_now() < until) {
        mailbox_drain(&boxes[W1], 50, 100);
        struct found f = look(W1, big, 0, true);
        assert_true(f.n == 0 || f.last >= last);
        assert_false(f.beyond);
        last = f.n ? f.last : last;
        cut += f.missing;
        sum += f.n;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    print_message("%llu messages in %u looks, %llu were sent\n", (unsigned long long)sum, cut,
                  (unsigned long long)last);
    assert_int_equal(cut, 1000);
    assert_true(sum > 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_after),
        TEST(test_targets),
        TEST(test_who_sent_it),
        TEST(test_since_another_was_there),
        TEST(test_ends_at_the_cursor),
        TEST(test_nothing_was_sent),
        TEST(test_newborn_finds_what_was_before),
        TEST(test_wraps),
        TEST(test_mixed_sizes),
        TEST(test_all_overwritten),
        TEST(test_since_long_ago),
        TEST(test_evicted),
        TEST(test_payload_like_records),
        TEST(test_damaged),
        TEST(test_dead_writer),
        TEST(test_restless_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
