/* tune_test.c - run-time settings go from one tree to another, and nothing else does. */
#include "fake.h"

#include "conf/diff.h"
#include "conf/schema.h"
#include "conf/tune.h"

static void read_good(struct fake *f, const char *text)
{
    fake_read(f, text, NULL, 0);
    if (f->rep.errors)
        fail_msg("%s", fake_report(f));
}

static unsigned count_changes(const struct fake *a, const struct fake *b)
{
    struct conf_diff d;
    unsigned n;

    conf_diff_init(&d);
    conf_diff_make(&d, a->conf, b->conf);
    n = d.n;
    conf_diff_free(&d);
    return n;
}

/* What is read when it is needed is a number in a section that there is once. */
static void test_tables(void **state)
{
    size_t n = 0;

    (void)state;
    for (const struct conf_kind *k = conf_kinds; k->name; k++)
        for (const cs_directive *d = k->table; d->type != CS_T_END; d++) {
            if (!(d->flags & CONF_RUNTIME))
                continue;
            n++;
            if (k->labelled || d->type == CS_T_STR || d->type == CS_T_PATH ||
                d->type == CS_T_LIST || d->flags & CONF_RESTART)
                fail_msg("%s of [%s] cannot be a run-time key", d->name, k->name);
        }
    assert_int_equal(n, conf_tune_count());
    assert_true(n > 20);
}

static const char changed[] =
    "[server]\nlog_level = error\nshutdown_timeout = 7s\nworkers = 5\nmax_workers = 50\n"
    "[accept]\nspread = off\npick = least\npolicy = exclusive\n"
    "[limits]\nmax_body = 3m\nkeepalive_timeout = 9s\nmax_connections = 12\n";

static void test_values(void **state)
{
    struct fake from, to;
    int64_t values[CONF_TUNE_MAX];

    (void)state;
    read_good(&from, changed);
    read_good(&to, "");
    conf_tune_read(from.conf, values);
    conf_tune_write(to.conf, values);
    assert_int_equal(to.conf->server.log_level, 3);
    assert_int_equal(to.conf->server.shutdown_timeout, 7000);
    assert_int_equal(to.conf->server.workers, 0);
    assert_false(to.conf->accept.spread);
    assert_int_equal(to.conf->accept.pick, CONF_PICK_LEAST);
    assert_int_equal(to.conf->accept.policy, CONF_POLICY_TURN);
    assert_int_equal(to.conf->limits.max_body, 3 << 20);
    assert_int_equal(to.conf->limits.keepalive_timeout, 9000);
    assert_int_equal(to.conf->limits.max_connections, 12);
    assert_int_equal(to.conf->limits.max_uri, 8192);
    fake_free(&from);
    fake_free(&to);
}

/* Again and again, from trees that are gone afterwards. */
static void test_take(void **state)
{
    struct fake live, from;

    (void)state;
    read_good(&live, "");
    for (int i = 0; i < 100; i++) {
        char text[64];

        snprintf(text, sizeof text, "[limits]\nmax_headers = %d\n", 10 + i);
        read_good(&from, text);
        conf_tune_take(live.conf, from.conf);
        assert_int_equal(count_changes(&live, &from), 0);
        fake_free(&from);
        assert_int_equal(live.conf->limits.max_headers, 10 + i);
    }
    assert_int_equal(conf_origin_of(&live.conf->limits.head, "max_headers")->line, 2);
    assert_string_equal(conf_origin_of(&live.conf->limits.head, "max_headers")->file, "t.ini");
    assert_true(live.conf->tuned.total < 16384);
    read_good(&from, changed);
    conf_tune_take(live.conf, from.conf);
    assert_int_equal(count_changes(&live, &from), 3);
    fake_free(&from);
    fake_free(&live);
}

static void test_keep(void **state)
{
    struct fake live, next;

    (void)state;
    read_good(&live, "[server]\nmax_workers = 9\npid_file = /old\n[limits]\nmax_body = 3m\n");
    read_good(&next, "[server]\ncontrol = /new\nworkers = 2\n");
    conf_tune_keep(next.conf, live.conf);
    fake_free(&live);
    assert_int_equal(next.conf->server.max_workers, 9);
    assert_string_equal(next.conf->server.pid_file.p, "/old");
    assert_string_equal(next.conf->server.control.p, "/p/run/cserver.sock");
    assert_int_equal(next.conf->server.workers, 2);
    assert_int_equal(next.conf->limits.max_body, 1 << 20);
    assert_string_equal(conf_origin_of(&next.conf->server.head, "pid_file")->file, "t.ini");
    fake_free(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables), cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_take), cmocka_unit_test(test_keep)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
