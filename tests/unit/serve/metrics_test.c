/* What is published of a region that mailboxes have used: the rules of cs_metric (cserver.h), exact numbers, and no line
 * for what was never there. */
#include "serve/metrics.h"

#include "base/check.h"
#include "ipc/board.h"
#include "ipc/mailbox.h"
#include "ipc/postmaster.h"
#include "ipc/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define W1 IPC_SLOT_WORKERS
#define W2 (IPC_SLOT_WORKERS + 1)
#define P  IPC_SLOT_PRIMARY_A
#define M  IPC_SLOT_MASTER

static struct region region;
static struct mailbox boxes[IPC_SLOT_WORKERS + 4];
static unsigned all_topic, primary_topic, foreign_topic; /* nobody takes the last one */
static unsigned heard;

/* ---- What came, as text ---- */

struct sample {
    char name[64], help[160], labels[160]; /* "worker=1,cause=kick" */
    int kind;
    int64_t value;
    uint64_t counted; /* histogram: sum of its buckets */
};
static struct sample samples[4000];
static size_t nsamples;

static int on_metric(const cs_metric *m, void *arg)
{
    struct sample *s = &samples[nsamples++];
    (void)arg;
    assert_true(nsamples < ARRAY_LEN(samples));
    assert_int_equal(m->size, sizeof *m);
    *s = (struct sample){.kind = m->kind, .value = m->value};
    snprintf(s->name, sizeof s->name, "%s", m->name);
    snprintf(s->help, sizeof s->help, "%s", m->help);
    for (size_t i = 0, n = 0; i + 1 < m->nlabels; i += 2)
        n += (size_t)snprintf(s->labels + n, sizeof s->labels - n, "%s%.*s=%.*s", i ? "," : "",
                              CS_F(m->labels[i]), CS_F(m->labels[i + 1]));
    for (size_t i = 0; m->kind == CS_METRIC_HISTOGRAM && i <= m->nbounds; i++)
        s->counted += m->counts[i];
    return 0;
}

static void read_all(void)
{
    nsamples = 0;
    const struct metrics_source src = {&region, 2, NULL};
    assert_int_equal(metrics_each(&src, on_metric, NULL), 0);
}

static const struct sample *find(const char *name, const char *labels)
{
    for (size_t i = 0; i < nsamples; i++)
        if (strcmp(samples[i].name, name) == 0 && strcmp(samples[i].labels, labels) == 0)
            return &samples[i];
    return NULL;
}

static int64_t value(const char *name, const char *labels)
{
    const struct sample *s = find(name, labels);
    if (!s)
        fail_msg("%s{%s}: there is none", name, labels);
    return s->value;
}

static unsigned count(const char *name)
{
    unsigned n = 0;
    for (size_t i = 0; i < nsamples; i++)
        n += strcmp(samples[i].name, name) == 0;
    return n;
}

static bool is_labelled(const char *label)
{
    for (size_t i = 0; i < nsamples; i++)
        if (strstr(samples[i].labels, label))
            return true;
    return false;
}

/* ---- A server of boxes ---- */

static void on_message(void *arg, const struct mail_message *m)
{
    (void)arg;
    heard += m->len > 0;
}

static void join(int slot, enum ipc_state state)
{
    struct mailbox *mb = &boxes[slot];
    struct ipc_slot *s = region_slot(&region, slot);
    atomic_fetch_add(&s->incarnation, 1);
    atomic_store(&s->pid, 1000 + slot);
    atomic_store(&s->state, state);
    mailbox_init(mb, &region, slot, on_message, mb);
    if (slot != M) {
        mailbox_subscribe(mb, all_topic, true);
        mailbox_subscribe(mb, primary_topic, slot == P);
    }
    assert_int_equal(mailbox_join(mb), 0);
}

static void say(int from, unsigned topic, int to, unsigned times)
{
    while (times--)
        assert_int_equal(
            mailbox_publish(&boxes[from], topic, (struct mail_target){.to = to}, "hello", 5, NULL),
            MAIL_SENT);
}

static void drain_all(void)
{
    for (size_t i = 0; i < ARRAY_LEN(boxes); i++)
        while (boxes[i].joined && mailbox_drain(&boxes[i], 1000, 1000000)) {
        }
}

static void die(int slot, bool hold)
{
    boxes[slot].joined = false;
    free(boxes[slot].buffer);
    board_bury(&region, slot);
    postmaster_bury(&region, slot, hold);
}

static int set_up(void **state)
{
    (void)state;
    memset(boxes, 0, sizeof boxes);
    if (region_new(&region, 4) < 0)
        return -1;
    atomic_store(&region.mail->doorbell, IPC_DOORBELL_EVENTFD);
    all_topic = (unsigned)topic_new(&region, &(struct topic_spec){"t.all", "t", 5000, false});
    primary_topic =
        (unsigned)topic_new(&region, &(struct topic_spec){"t.primary", "t", 5000, false});
    foreign_topic =
        (unsigned)topic_new(&region, &(struct topic_spec){"t.foreign", "t", 5000, false});
    join(M, IPC_FREE);
    join(W1, IPC_READY);
    join(W2, IPC_READY);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(boxes); i++)
        if (boxes[i].joined)
            mailbox_leave(&boxes[i]);
    region_free(&region);
    return 0;
}

/* ---- Tests ---- */

static bool same_base(const struct sample *a, const struct sample *b)
{
    size_t n = strlen(a->name), m = strlen(b->name);
    n -= a->kind == CS_METRIC_COUNTER ? 6 : 0;
    m -= b->kind == CS_METRIC_COUNTER ? 6 : 0;
    return n == m && memcmp(a->name, b->name, n) == 0;
}

static void check_pair(size_t i, size_t k)
{
    const struct sample *a = &samples[i], *b = &samples[k];
    if (strcmp(a->name, b->name) != 0) {
        if (same_base(a, b))
            fail_msg("%s and %s would be one in OpenMetrics", a->name, b->name);
        return;
    }
    if (strcmp(b[-1].name, b->name) != 0)
        fail_msg("%s is in two places", b->name);
    if (a->kind != b->kind || strcmp(a->help, b->help) != 0)
        fail_msg("%s: not one kind, or not one help", b->name);
    if (strcmp(a->labels, b->labels) == 0)
        fail_msg("%s{%s}: twice", b->name, b->labels);
}

static void test_rules(void **state)
{
    (void)state;
    join(P, IPC_READY);
    say(W1, all_topic, MAIL_ALL, 1);
    drain_all();
    read_all();
    for (size_t i = 0; i < nsamples; i++) {
        const struct sample *s = &samples[i];
        size_t n = strlen(s->name);
        bool total = n > 6 && strcmp(s->name + n - 6, "_total") == 0;
        if (strncmp(s->name, "cserver_", 8) != 0 || total != (s->kind == CS_METRIC_COUNTER))
            fail_msg("%s: no name for that kind", s->name);
        if (s->help[0] == '\0' || s->help[strlen(s->help) - 1] != '.')
            fail_msg("%s: the help is no sentence: %s", s->name, s->help);
        for (size_t k = i + 1; k < nsamples; k++)
            check_pair(i, k);
    }
}

/* Five times "all" from worker 1, twice "workers", three times "primary" from worker 2. */
static const struct row {
    const char *name, *labels;
    int64_t value;
} exact[] = {
    {"cserver_mail_published_total", "worker=1", 7},
    {"cserver_mail_published_total", "worker=2", 3},
    {"cserver_mail_published_total", "process=primary", 0},
    {"cserver_mail_published_total", "process=master", 1},
    {"cserver_mail_delivered_total", "worker=1", 8},
    {"cserver_mail_delivered_total", "worker=2", 8},
    {"cserver_mail_delivered_total", "process=primary", 9},
    {"cserver_mail_delivered_total", "process=master", 0},
    {"cserver_mail_skipped_total", "worker=1", 3},
    {"cserver_mail_skipped_total", "process=primary", 2},
    {"cserver_mail_lost_total", "worker=1", 0},
    {"cserver_mail_backlog", "worker=1", 0},
    {"cserver_mail_backlog", "process=primary", 0},
    {"cserver_mail_backlog", "process=master", 0},
    {"cserver_mail_lag", "worker=1", 0},
    {"cserver_mail_lag", "process=primary", 0},
    {"cserver_mail_lag_peak", "worker=1", 11},
    {"cserver_mail_lagging", "worker=1", 0},
    {"cserver_mail_outbox_bytes", "worker=1", 0},
    {"cserver_mail_messages_total", "", 11},
    {"cserver_mail_evictions_total", "", 0},
    {"cserver_mail_ring_cells", "", IPC_MAIL_CELLS},
    {"cserver_mail_broken", "", 0},
    {"cserver_mail_latency_seconds", "worker=1", 8},
    {"cserver_mail_handler_seconds", "process=primary", 9},
    {"cserver_topic_published_total", "topic=t.all", 8},
    {"cserver_topic_bytes_total", "topic=t.all", 40},
    {"cserver_topic_delivered_total", "topic=t.all", 22},
    {"cserver_topic_lost_total", "topic=t.all", 0},
    {"cserver_topic_published_total", "topic=t.primary", 3},
    {"cserver_topic_delivered_total", "topic=t.primary", 3},
    {"cserver_worker_up", "worker=1", 1},
    {"cserver_process_up", "process=primary", 1},
    {"cserver_process_starts_total", "process=primary", 1},
    {"cserver_process_info", "process=primary,pid=1001,state=ready,generation=0,incarnation=1", 1},
    {"cserver_workers", "", 2},
};

static void exchange(void)
{
    join(P, IPC_READY);
    say(W1, all_topic, MAIL_ALL, 5);
    say(W1, all_topic, MAIL_WORKERS, 2);
    say(W2, primary_topic, MAIL_PRIMARY, 3);
    say(M, all_topic, MAIL_ALL, 1);
}

static void test_numbers(void **state)
{
    (void)state;
    heard = 0;
    exchange();
    drain_all();
    read_all();
    assert_int_equal(heard, 8 + 8 + 9);
    for (size_t i = 0; i < ARRAY_LEN(exact); i++)
        if (value(exact[i].name, exact[i].labels) != exact[i].value)
            fail_msg("%s{%s} is %lld, not %lld", exact[i].name, exact[i].labels,
                     (long long)value(exact[i].name, exact[i].labels), (long long)exact[i].value);
    for (size_t i = 0; i < nsamples; i++)
        if (samples[i].kind == CS_METRIC_HISTOGRAM)
            assert_int_equal(samples[i].counted, samples[i].value);
    printf("rows: %zu\n", ARRAY_LEN(exact));
}

static void test_only_what_took_part(void **state)
{
    (void)state;
    atomic_store(&region.slots[IPC_SLOT_PRIMARY_B].incarnation, 1);
    atomic_store(&region.slots[IPC_SLOT_CANARY].incarnation, 1);
    read_all();
    assert_int_equal(count("cserver_mail_published_total"), 3);
    assert_int_equal(count("cserver_mail_latency_seconds"), 2);
    assert_int_equal(count("cserver_topic_published_total"), 3);
    assert_int_equal(count("cserver_process_up"), 0);
    assert_false(is_labelled("primary,") || is_labelled("process=primary"));
    assert_false(is_labelled("worker=3"));
    assert_int_equal(count("cserver_listen_info"), 0);

    assert_int_equal(postmaster_hold(&region), 0);
    say(W1, primary_topic, MAIL_PRIMARY, 4);
    read_all();
    assert_int_equal(value("cserver_mail_backlog", "process=primary"), 4);
    assert_int_equal(count("cserver_process_up"), 0);
}

static void test_backlog_is_what_is_owed(void **state)
{
    (void)state;
    exchange();
    read_all();
    assert_int_equal(value("cserver_mail_backlog", "worker=1"), 8);
    assert_int_equal(value("cserver_mail_backlog", "worker=2"), 8);
    assert_int_equal(value("cserver_mail_backlog", "process=primary"), 9);
    assert_int_equal(value("cserver_mail_backlog", "process=master"), 0);
    assert_int_equal(value("cserver_mail_lag", "worker=1"), 11);
    say(W2, foreign_topic, MAIL_ALL, 1);
    read_all();
    assert_int_equal(value("cserver_mail_backlog", "worker=1"), 8);
    mailbox_drain(&boxes[W1], 3, 1000000);
    read_all();
    assert_int_equal(value("cserver_mail_backlog", "worker=1"), 5);
    assert_int_equal(value("cserver_mail_lag", "worker=1"), 9);
    assert_int_equal(value("cserver_mail_lag_peak", "worker=1"), 12);
    drain_all();
}

/* What was published for a process is what it has had and what it has lost, whoever was evicted. */
static void test_nothing_is_unaccounted_for(void **state)
{
    (void)state;
    exchange();
    mailbox_drain(&boxes[W1], 3, 1000000);
    postmaster_evict(&region, W1);
    read_all();
    assert_int_equal(value("cserver_mail_lagging", "worker=1"), 1);
    assert_int_equal(value("cserver_mail_evictions_total", ""), 1);
    drain_all();
    read_all();
    assert_int_equal(value("cserver_mail_lagging", "worker=1"), 0);
    assert_int_equal(value("cserver_mail_delivered_total", "worker=1"), 3);
    assert_int_equal(value("cserver_mail_lost_total", "worker=1"), 5);
    assert_int_equal(value("cserver_mail_backlog", "worker=1"), 0);
    assert_int_equal(value("cserver_topic_delivered_total", "topic=t.all") +
                         value("cserver_topic_lost_total", "topic=t.all"),
                     8 + 8 + 6);
}

static void test_deaths(void **state)
{
    (void)state;
    exchange();
    drain_all();
    say(W2, all_topic, MAIL_WORKERS, 1);
    die(W1, false);
    die(P, true);
    say(W2, primary_topic, MAIL_PRIMARY, 1);
    read_all();
    assert_int_equal(value("cserver_worker_up", "worker=1"), 0);
    assert_int_equal(value("cserver_process_up", "process=primary"), 0);
    assert_int_equal(count("cserver_process_info"), 0);
    assert_int_equal(value("cserver_mail_delivered_total", "worker=1"), 8);
    assert_int_equal(value("cserver_mail_lag", "worker=1"), 0);
    assert_int_equal(value("cserver_mail_backlog", "worker=1"), 0);
    assert_int_equal(value("cserver_mail_backlog", "process=primary"), 1);

    join(W1, IPC_READY);
    join(P, IPC_READY);
    say(W2, all_topic, MAIL_ALL, 1);
    drain_all();
    read_all();
    assert_int_equal(value("cserver_mail_delivered_total", "worker=1"), 9);
    assert_int_equal(value("cserver_mail_delivered_total", "process=primary"), 11);
    assert_int_equal(value("cserver_process_starts_total", "process=primary"), 2);
    assert_int_equal(value("cserver_mail_backlog", "process=primary"), 0);
}

static int on_first(const cs_metric *m, void *arg)
{
    (void)m;
    ++*(int *)arg;
    return 42;
}

static void test_stops_when_told(void **state)
{
    (void)state;
    int calls = 0;
    const struct metrics_source src = {&region, 2, NULL};
    assert_int_equal(metrics_each(&src, on_first, &calls), 42);
    assert_int_equal(calls, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rules),
        TEST(test_numbers),
        TEST(test_only_what_took_part),
        TEST(test_backlog_is_what_is_owed),
        TEST(test_nothing_is_unaccounted_for),
        TEST(test_deaths),
        TEST(test_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
