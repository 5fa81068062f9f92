/* diff_test.c - what two settings differ in, and what each difference needs. */
#include "fake.h"

#include "conf/diff.h"

struct row {
    const char *label, *before, *after;
    const char *says; /* each change on a line of its own, behind m, w or r and a blank */
    const char *sum;  /* NULL: not looked at */
};

#define HELLO "[module:hello]\n"
#define A     "[route:a]\nmatch = /a\nhandler = hello\n"
#define B     "[route:b]\nmatch = /b\nhandler = hello\n"
#define C     "[route:c]\nmatch = /c\nhandler = hello\n"
#define N10   "0123456789"

static const struct row rows[] = {
    {"nothing", "", "", "", "no difference"},
    {"a default is written", "", "[limits]\nmax_body = 1m\n[server]\nlog_level = info\n", "",
     "no difference"},
    {"other words for the same", "[limits]\nhead_timeout = 60s\n", "[limits]\nhead_timeout = 1m\n",
     "", NULL},
    {"sections of different kinds change places", HELLO A, A HELLO, "", NULL},
    {"a time", "[limits]\nhead_timeout = 60s\n", "[limits]\nhead_timeout = 2m\n",
     "m [limits] head_timeout: 1m -> 2m (t.ini:2)\n",
     "1 change: at run time ([limits] head_timeout)"},
    {"back to the default", "[limits]\nmax_body = 2m\n", "",
     "m [limits] max_body: 2m -> 1m (default)\n", NULL},
    {"a word, a switch and a number", "",
     "[server]\nlog_level = debug\n[accept]\nspread = off\nbatch = 1\n",
     "m [server] log_level: info -> debug (t.ini:2)\n"
     "m [accept] batch: 4 -> 1 (t.ini:5)\n"
     "m [accept] spread: on -> off (t.ini:4)\n",
     "3 changes: at run time ([server] log_level, [accept] batch, [accept] spread)"},
    {"a number or a word", "", "[limits]\nmax_connections = 7\n",
     "m [limits] max_connections: auto -> 7 (t.ini:2)\n", NULL},
    {"what needs new workers", "", "[server]\nworkers = 3\n",
     "w [server] workers: auto -> 3 (t.ini:2)\n", "1 change: with new workers ([server] workers)"},
    {"what needs a restart", "", "[server]\nmax_workers = 99\ncontrol = /c\n",
     "r [server] max_workers: auto -> 99 (t.ini:2)\n"
     "r [server] control: /p/run/cserver.sock -> /c (t.ini:3)\n",
     "2 changes: after a restart ([server] max_workers, [server] control)"},
    {"of each kind", "", "[server]\nworkers = 3\nmax_workers = 99\ngive_up = 1\n",
     "w [server] workers: auto -> 3 (t.ini:2)\n"
     "r [server] max_workers: auto -> 99 (t.ini:3)\n"
     "m [server] give_up: 0 -> 1 (t.ini:4)\n",
     "3 changes: 1 at run time ([server] give_up); 1 with new workers ([server] workers); 1 after "
     "a restart ([server] max_workers)"},
    {"more than a sum names", "",
     "[limits]\nmax_body = 2m\nmax_head = 2k\nmax_uri = 1k\nmax_headers = 20\nbody_timeout = 1s\n",
     "m [limits] max_head: 16k -> 2k (t.ini:3)\n"
     "m [limits] max_headers: 100 -> 20 (t.ini:5)\n"
     "m [limits] max_uri: 8k -> 1k (t.ini:4)\n"
     "m [limits] max_body: 1m -> 2m (t.ini:2)\n"
     "m [limits] body_timeout: 30s -> 1s (t.ini:6)\n",
     "5 changes: at run time ([limits] max_head, [limits] max_headers, [limits] max_uri, [limits] "
     "max_body and 1 more)"},

    {"a new section", HELLO, HELLO A,
     "w [route:a] is new (t.ini:2)\n"
     "w [route:a] match: (not set) -> /a (t.ini:3)\n"
     "w [route:a] handler: (not set) -> hello (t.ini:4)\n",
     "3 changes: with new workers ([route:a])"},
    {"a section is gone", HELLO A B, HELLO B, "w [route:a] is gone (t.ini:2)\n",
     "1 change: with new workers ([route:a])"},
    {"one goes, one comes", HELLO A B, HELLO B C,
     "w [route:c] is new (t.ini:5)\n"
     "w [route:c] match: (not set) -> /c (t.ini:6)\n"
     "w [route:c] handler: (not set) -> hello (t.ini:7)\n"
     "w [route:a] is gone (t.ini:2)\n",
     NULL},
    {"another order", HELLO A B C, HELLO C A B, "w [route:...] stand in another order (t.ini:5)\n",
     "1 change: with new workers ([route:...])"},
    {"a module comes with a root", "", "[site:default]\nroot = /w\n",
     "w [module:static] is new (default)\n"
     "w [site:default] root: (empty) -> /w (t.ini:2)\n",
     NULL},
    {"the implicit listener is written", "", "[listen:main]\naddress = :8080\n", "", NULL},
    {"another address", "", "[listen:main]\naddress = :8081, :8082\n",
     "w [listen:main] address: :8080 -> :8081, :8082 (t.ini:2)\n", NULL},

    {"a module's key", HELLO, HELLO "greeting = Hi\n",
     "w [module:hello] greeting: Hello -> Hi (t.ini:2)\n", NULL},
    {"a module's key on a route", HELLO A, HELLO A "greeting = Hi\n",
     "w [route:a] hello.greeting: (not set) -> Hi (t.ini:5)\n", NULL},
    {"it is gone from the route", HELLO A "greeting = Hi\n", HELLO A,
     "w [route:a] hello.greeting: Hi -> (not set) (t.ini:2)\n", NULL},
    {"plain or with the module's name", HELLO A "greeting = Hi\n", HELLO A "hello.greeting = Hi\n",
     "", NULL},
    {"a secret", HELLO "password = one\n", HELLO "password = two\n",
     "w [module:hello] password: *** -> *** (t.ini:2)\n", NULL},
    {"the same secret", HELLO "password = one\n", HELLO "password = one\n", "", NULL},
    {"a secret is taken away", HELLO "password = one\n", HELLO "password =\n",
     "w [module:hello] password: *** -> (empty) (t.ini:2)\n", NULL},
    {"a long value", HELLO, HELLO "greeting = " N10 N10 N10 N10 N10 N10 N10 N10 "x" N10 "\n",
     "w [module:hello] greeting: Hello -> " N10 N10 N10 N10 N10 N10 N10 N10 "... (t.ini:2)\n",
     NULL},
    {"cut between characters", HELLO,
     HELLO "greeting = " N10 N10 N10 N10 N10 N10 N10 "012345678\xc3\xa4" N10 "\n",
     "w [module:hello] greeting: Hello -> " N10 N10 N10 N10 N10 N10 N10 "012345678... (t.ini:2)\n",
     NULL},
};

static void say_all(const struct conf_diff *d, struct buf *out)
{
    for (const struct conf_change *c = d->first; c; c = c->next) {
        buf_printf(out, "%c ", "mwr"[c->need]);
        conf_diff_say(c, out);
        buf_add_char(out, '\n');
    }
    buf_add_z(out, "");
}

static void check_row(const struct row *row)
{
    struct fake before, after;
    struct conf_diff d;
    struct buf says = {0}, sum = {0};

    fake_read(&before, row->before, NULL, 0);
    fake_read(&after, row->after, NULL, 0);
    if (before.rep.errors || after.rep.errors)
        fail_msg("%s: %s", row->label, fake_report(before.rep.errors ? &before : &after));
    conf_diff_init(&d);
    conf_diff_make(&d, before.conf, after.conf);
    say_all(&d, &says);
    conf_diff_sum(&d, &sum);
    if (strcmp(says.p ? says.p : "", row->says) != 0)
        fail_msg("%s:\n%sis not\n%s", row->label, says.p, row->says);
    if (row->sum && strcmp(sum.p, row->sum) != 0)
        fail_msg("%s:\n%s\nis not\n%s", row->label, sum.p, row->sum);
    assert_int_equal(d.n, d.needs[0] + d.needs[1] + d.needs[2]);
    conf_diff_free(&d);
    assert_int_equal(d.n, 0);
    buf_free(&says);
    buf_free(&sum);
    fake_free(&before);
    fake_free(&after);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
    printf("rows: %zu\n", ARRAY_LEN(rows));
}

static void test_command_line(void **state)
{
    struct conf_override override = {"limits.max_body=3m"};
    struct fake before, after;
    struct conf_diff d;
    struct buf says = {0};

    (void)state;
    fake_read(&before, "", NULL, 0);
    fake_read(&after, "", &override, 1);
    conf_diff_init(&d);
    conf_diff_make(&d, before.conf, after.conf);
    say_all(&d, &says);
    assert_string_equal(says.p, "m [limits] max_body: 1m -> 3m (command line)\n");
    buf_free(&says);
    conf_diff_free(&d);
    fake_free(&before);
    fake_free(&after);
}

static void test_behind(void **state)
{
    struct conf_diff d;
    struct buf says = {0};

    (void)state;
    conf_diff_init(&d);
    conf_diff_behind(&d, CS_S("module:hello"), "hello.so", "the file has changed");
    say_all(&d, &says);
    assert_string_equal(says.p, "w [module:hello] hello.so: the file has changed\n");
    assert_int_equal(d.needs[CONF_NEED_WORKERS], 1);
    buf_free(&says);
    conf_diff_free(&d);
}

static void test_json(void **state)
{
    struct fake before, after;
    struct conf_diff d;
    struct buf out = {0};
    struct json j;

    (void)state;
    fake_read(&before, HELLO "password = one\n", NULL, 0);
    fake_read(&after, HELLO "password = two\ngreeting = \"\\\"\"\n" A, NULL, 0);
    conf_diff_init(&d);
    conf_diff_make(&d, before.conf, after.conf);
    json_init(&j, &out);
    json_object(&j, NULL);
    conf_diff_json(&d, &j);
    json_end_object(&j);
    assert_string_equal(
        out.p,
        "{\"changes\":["
        "{\"need\":\"new workers\",\"what\":\"value\",\"section\":\"module:hello\","
        "\"key\":\"greeting\",\"before\":\"Hello\",\"after\":\"\\\"\",\"at\":\"t.ini:3\","
        "\"text\":\"[module:hello] greeting: Hello -> \\\" (t.ini:3)\"},"
        "{\"need\":\"new workers\",\"what\":\"value\",\"section\":\"module:hello\","
        "\"key\":\"password\",\"before\":\"***\",\"after\":\"***\",\"at\":\"t.ini:2\","
        "\"text\":\"[module:hello] password: *** -> *** (t.ini:2)\"},"
        "{\"need\":\"new workers\",\"what\":\"added\",\"section\":\"route:a\","
        "\"at\":\"t.ini:4\",\"text\":\"[route:a] is new (t.ini:4)\"},"
        "{\"need\":\"new workers\",\"what\":\"value\",\"section\":\"route:a\",\"key\":\"match\","
        "\"before\":null,\"after\":\"/a\",\"at\":\"t.ini:5\","
        "\"text\":\"[route:a] match: (not set) -> /a (t.ini:5)\"},"
        "{\"need\":\"new workers\",\"what\":\"value\",\"section\":\"route:a\",\"key\":\"handler\","
        "\"before\":null,\"after\":\"hello\",\"at\":\"t.ini:6\","
        "\"text\":\"[route:a] handler: (not set) -> hello (t.ini:6)\"}]}");
    buf_free(&out);
    conf_diff_free(&d);
    fake_free(&before);
    fake_free(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_command_line),
                                       cmocka_unit_test(test_behind), cmocka_unit_test(test_json)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
