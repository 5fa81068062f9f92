/* What is said of the dead, from what their slot says. */
#include "proc/inquest.h"

#include "module/crumb.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define WORKER (IPC_SLOT_WORKERS + 1)

static struct region region;

static int begin(void **state)
{
    (void)state;
    int rc = region_new(&region, 2);
    region_module(&region, "sse", "1.0");
    region_module(&region, "bare", "");
    snprintf(region.topics[3].name, IPC_TOPIC_NAME, "sse.news");
    return rc;
}

static int end(void **state)
{
    (void)state;
    region_free(&region);
    return 0;
}

struct row {
    const char *label;
    int slot, status;
    unsigned module, hook;
    int active;
    uint32_t reported;
    const char *at;
    uint64_t address;
    const char *expect;
    bool wrong, by_module;
};

static const struct row rows[] = {
    {"killed by an operator", WORKER, SIGKILL, 0, 0, 0, 0, NULL, 0,
     "(pid 4711) was killed by SIGKILL", true, false},
    {"killed with connections", WORKER, SIGKILL, 0, 0, 37, 0, NULL, 0,
     "(pid 4711) was killed by SIGKILL; 37 connections lost", true, false},
    {"with one", WORKER, SIGKILL, 0, 0, 1, 0, NULL, 0,
     "(pid 4711) was killed by SIGKILL; 1 connection lost", true, false},
    {"as it should", WORKER, 0, 0, 0, 0, 0, NULL, 0, "(pid 4711) exited with status 0", false,
     false},
    {"not as it should", WORKER, W_EXITCODE(1, 0), 0, 0, 0, 0, NULL, 0,
     "(pid 4711) exited with status 1", true, false},
    {"a fault of the server", WORKER, SIGSEGV, 0, 0, 0, SIGSEGV, "cserver+0x12", 0x10,
     "(pid 4711) was killed by SIGSEGV, at cserver+0x12 (address 0x10)", true, false},
    {"a fault in a module", WORKER, SIGSEGV, 1, CRUMB_ON_MESSAGE, 37, SIGSEGV, "sse.so+0x1a3c",
     0x10,
     "(pid 4711, generation 3) was killed by SIGSEGV in module \"sse\" 1.0, hook on_message, at "
     "sse.so+0x1a3c (address "
     "0x10); 37 connections lost",
     true, true},
    {"a fault that nobody has reported", WORKER, SIGBUS | WCOREFLAG, 1, CRUMB_TIMER, 0, 0, NULL, 0,
     "(pid 4711, generation 3) was killed by SIGBUS (core dumped) in module \"sse\" 1.0, hook a "
     "timer",
     true, true},
    {"a report that hung", WORKER, SIGALRM, 1, CRUMB_HANDLER, 0, SIGSEGV, "sse.so+0x1", 0,
     "(pid 4711, generation 3) was killed by SIGALRM in module \"sse\" 1.0, hook handler, at "
     "sse.so+0x1",
     true, true},
    {"killed in a module", WORKER, SIGKILL, 1, CRUMB_HANDLER, 0, 0, NULL, 0,
     "(pid 4711, generation 3) was killed by SIGKILL in module \"sse\" 1.0, hook handler", true,
     false},
    {"a module without a version", WORKER, SIGFPE, 2, CRUMB_ACCESS, 0, 0, NULL, 0,
     "(pid 4711, generation 3) was killed by SIGFPE in module \"bare\", hook access", true, true},
    {"a call of exit", WORKER, 0, 1, CRUMB_WORKER_START, 0, 0, NULL, 0,
     "(pid 4711, generation 3) exited with status 0 in module \"sse\" 1.0, hook worker_start, "
     "which called exit",
     true, true},
    {"the primary", IPC_SLOT_PRIMARY_A, SIGILL, 1, CRUMB_PRIMARY_START, 0, 0, NULL, 0,
     "(pid 4711) was killed by SIGILL in module \"sse\" 1.0, hook primary_start", true, true},
    {"a module that is not known", WORKER, SIGSEGV, 77, CRUMB_HANDLER, 0, 0, NULL, 0,
     "(pid 4711, generation 3) was killed by SIGSEGV in module \"?\", hook handler", true, true},
    {"a crumb that makes no sense", WORKER, SIGSEGV, 0xffffff, 200, 0, 0, NULL, 0,
     "(pid 4711, generation 3) was killed by SIGSEGV in module \"?\", hook ?", true, true},
};

static void fill(const struct row *row)
{
    struct ipc_slot *s = region_slot(&region, row->slot);
    memset(&s->crumb, 0, sizeof s->crumb);
    atomic_store(&s->generation, 3);
    atomic_store(&s->active, row->active);
    atomic_store(&s->crumb.where, row->module << 8 | row->hook);
    atomic_store(&s->crumb.crash_where, row->reported ? row->module << 8 | row->hook : 0);
    atomic_store(&s->crumb.signal, row->reported);
    atomic_store(&s->crumb.has_address, row->address != 0);
    atomic_store(&s->crumb.address, row->address);
    if (row->at)
        snprintf(s->crumb.at, sizeof s->crumb.at, "%s", row->at);
}

static void test_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct inquest q;
        fill(&rows[i]);
        inquest_open(&q, &region, rows[i].slot, 4711, rows[i].status);
        if (strcmp(q.how, rows[i].expect) != 0)
            fail_msg("%s:\n%s, expected\n%s", rows[i].label, q.how, rows[i].expect);
        if (q.wrong != rows[i].wrong || q.by_module != rows[i].by_module)
            fail_msg("%s: wrong %d, by_module %d", rows[i].label, q.wrong, q.by_module);
    }
    print_message("rows: %zu\n", sizeof rows / sizeof *rows);
}

/* The process has reported from a thread of the pool, and its other threads went on until it was dead. */
static void test_what_it_reported_itself(void **state)
{
    (void)state;
    struct row row = {.slot = WORKER,
                      .module = 2,
                      .hook = CRUMB_HANDLER,
                      .reported = SIGSEGV,
                      .at = "sse.so+0x1"};
    struct ipc_crumb *c = &region_slot(&region, WORKER)->crumb;
    struct inquest q;

    fill(&row);
    atomic_store(&c->request, 0xab);
    atomic_store(&c->crash_where, 1 << 8 | CRUMB_WORK);
    inquest_open(&q, &region, WORKER, 4711, SIGSEGV);
    assert_string_equal(q.how, "(pid 4711, generation 3) was killed by SIGSEGV in module \"sse\" "
                               "1.0, hook work on a thread, at sse.so+0x1");
    assert_int_equal(q.at.module, 1);
    assert_true(q.by_module);
    assert_string_equal(q.at.request, "");

    atomic_store(&c->crash_where, 0);
    inquest_open(&q, &region, WORKER, 4711, SIGSEGV);
    assert_string_equal(q.how, "(pid 4711) was killed by SIGSEGV, at sse.so+0x1");
    assert_false(q.by_module);
}

static bool has(const struct log_pair *pairs, size_t n, const char *key, const char *value)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(pairs[i].key, key) == 0)
            return value && str_is(pairs[i].value, value);
    return !value;
}

static void test_context(void **state)
{
    (void)state;
    struct ipc_crumb c;
    struct whereabouts w;
    struct log_pair pairs[WHEREABOUTS_PAIRS];
    memset(&c, 0, sizeof c);
    atomic_store(&c.where, 1 << 8 | CRUMB_ON_DATA);
    atomic_store(&c.request, 0xab);
    snprintf(c.route, sizeof c.route, "news");
    memset(c.path, 'x', sizeof c.path); /* while it is written its end may be missing */
    atomic_store(&c.seq, 8812);
    atomic_store(&c.topic, 3);
    atomic_store(&c.from, WORKER);

    whereabouts_read(&w, &region, &c);
    size_t n = whereabouts_pairs(&w, pairs);
    assert_true(has(pairs, n, "request_id", "00000000000000ab"));
    assert_true(has(pairs, n, "route", "news"));
    assert_int_equal(strlen(w.path), sizeof c.path - 1);
    assert_true(has(pairs, n, "topic", NULL));

    memcpy(c.path + sizeof c.path - 3, "\xe2\x82\xac", 3); /* cut in the midst of a character */
    whereabouts_read(&w, &region, &c);
    assert_int_equal(strlen(w.path), sizeof c.path - 3);
    for (uint32_t hook = CRUMB_REQ_TIMER; hook <= CRUMB_REQ_DONE; hook++) {
        atomic_store(&c.where, 1 << 8 | hook);
        whereabouts_read(&w, &region, &c);
        n = whereabouts_pairs(&w, pairs);
        assert_true(has(pairs, n, "route", "news"));
    }

    atomic_store(&c.where, 1 << 8 | CRUMB_ON_MESSAGE);
    whereabouts_read(&w, &region, &c);
    n = whereabouts_pairs(&w, pairs);
    assert_true(has(pairs, n, "topic", "sse.news"));
    assert_true(has(pairs, n, "seq", "8812"));
    assert_true(has(pairs, n, "from", "worker 2"));
    assert_true(has(pairs, n, "route", NULL));

    atomic_store(&c.topic, 0xffffffff);
    atomic_store(&c.from, IPC_SLOT_MASTER);
    whereabouts_read(&w, &region, &c);
    n = whereabouts_pairs(&w, pairs);
    assert_true(has(pairs, n, "from", "the command line"));
    snprintf(region.topics[0].name, sizeof region.topics[0].name, "cserver.members");
    whereabouts_read(&w, &region, &c);
    n = whereabouts_pairs(&w, pairs);
    assert_true(has(pairs, n, "from", "the master"));

    atomic_store(&c.where, 1 << 8 | CRUMB_TIMER);
    whereabouts_read(&w, &region, &c);
    assert_int_equal(whereabouts_pairs(&w, pairs), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_what_it_reported_itself),
        cmocka_unit_test(test_context),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
