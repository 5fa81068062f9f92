/* names_test.c - names looked up at a DNS server that lives in the same loop, and counts: dns_fake.h has its zone. */
#include "net/names.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns_fake.h"

#define LIMIT_MS 10000 /* for what takes some milliseconds */

static struct server first, second; /* at 127.0.0.1 and 127.0.0.2, same port */
static uint16_t port;
static struct names *names;
static char folder[64], conf[96], hosts[96];

/* ---- Who asks ---- */

struct asker {
    struct names_wait wait;
    struct names_found found;
    int calls;
    void (*then)(struct asker *a);
};

static void on_found(struct names_wait *w, const struct names_found *f)
{
    struct asker *a = CONTAINER_OF(w, struct asker, wait);
    a->calls++;
    a->found.error = f->error;
    a->found.text = f->text;
    a->found.n = f->n;
    memcpy(a->found.v, f->v, f->n * sizeof f->v[0]);
    if (a->then)
        a->then(a);
}

static bool find(struct asker *a, const char *host)
{
    memset(a, 0, sizeof *a);
    a->wait.done = on_found;
    return names_find(names, str_of(host), 8080, &a->found, &a->wait);
}

static void turn(void)
{
    loop_wait(&loop, 10);
    loop_dispatch(&loop);
    loop_run_timers(&loop);
    loop_reap(&loop);
}

static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#define UNTIL(cond)                                                                                \
    for (uint64_t until_end = real_ms() + LIMIT_MS; !(cond); turn())                               \
    assert_true(real_ms() < until_end)

/* Asks and waits; true when it was known at once. */
static bool get(struct asker *a, const char *host)
{
    bool known = find(a, host);
    UNTIL(known || a->calls);
    return known;
}

static void set_up_with(unsigned timeout_ms, unsigned limit_ms)
{
    names_free(names);
    names = names_new(&loop);
    names_set_up(names, &(struct names_setup){conf, port, timeout_ms, limit_ms});
}

static void write_file(const char *path, const char *text)
{
    char other[128];
    snprintf(other, sizeof other, "%s.new", path);
    FILE *f = fopen(other, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(other, path), 0);
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(loop_init(&loop, 64), 0);
    do
        port = free_port();
    while (!server_open(&first, "127.0.0.1", port) ||
           (!server_open(&second, "127.0.0.2", port) && (server_close(&first), true)));
    server_join(&first);
    server_join(&second);
    write_file(conf, "nameserver 127.0.0.1\nsearch corp\n");
    write_file(hosts, "192.0.2.77 Printer printer.test\n2001:db8::77 printer.test\n");
    set_up_with(LIMIT_MS, LIMIT_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    names_free(names);
    names = NULL;
    clock_thaw();
    for (int i = 0; i < 3; i++) /* connections of c-ares have ended */
        turn();
    server_close(&first);
    server_close(&second);
    loop_free(&loop);
    return 0;
}

/* ---- What was found ---- */

static void text_of(const struct names_address *a, char out[INET6_ADDRSTRLEN])
{
    const struct sockaddr_in *v4 = (const void *)&a->addr;
    const struct sockaddr_in6 *v6 = (const void *)&a->addr;
    bool six = a->addr.ss_family == AF_INET6;
    assert_int_equal(a->len, six ? sizeof *v6 : sizeof *v4);
    assert_int_equal(ntohs(six ? v6->sin6_port : v4->sin_port), 8080);
    assert_non_null(inet_ntop(a->addr.ss_family, six ? (const void *)&v6->sin6_addr : &v4->sin_addr,
                              out, INET6_ADDRSTRLEN));
}

static bool has(const struct asker *a, const char *address)
{
    for (unsigned i = 0; i < a->found.n; i++) {
        char text[INET6_ADDRSTRLEN];
        text_of(&a->found.v[i], text);
        if (strcmp(text, address) == 0)
            return true;
    }
    return false;
}

static void assert_found(const struct asker *a, unsigned n, const char *one)
{
    assert_int_equal(a->found.error, HOST_FOUND);
    assert_int_equal(a->found.n, n);
    assert_true(has(a, one));
}

static void assert_error(const struct asker *a, enum host_error error, const char *text)
{
    assert_int_equal(a->found.error, error);
    assert_string_equal(a->found.text, text);
    assert_int_equal(a->found.n, 0);
}

/* ---- Tests ---- */

static void test_text_needs_no_query(void **state)
{
    static const struct {
        const char *text, *address;
    } rows[] = {{"192.0.2.9", "192.0.2.9"}, {"::1", "::1"}, {"[2001:db8::9]", "2001:db8::9"}};
    struct asker a;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(find(&a, rows[i].text));
        assert_found(&a, 1, rows[i].address);
    }
    assert_int_equal(first.a + first.aaaa, 0);
}

static void test_what_is_no_name(void **state)
{
    char longest[256];
    static const char *const rows[] = {"",     ".",   "a..b", ".a",
                                       "a b",  "a/b", "a%b",  "caf\xc3\xa9.test",
                                       "[::1", "::g", "[]",   "1.2.3.4:80"};
    struct asker a;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(find(&a, rows[i]));
        assert_error(&a, HOST_BAD, "this is no name of a host");
    }
    memset(&a, 0, sizeof a);
    assert_true(names_find(names, (cs_str){"a\0b", 3}, 80, &a.found, &a.wait));
    assert_int_equal(a.found.error, HOST_BAD);
    memset(longest, 'a', sizeof longest);
    longest[254] = '\0';
    assert_true(find(&a, longest));
    assert_int_equal(a.found.error, HOST_BAD);
    memset(longest, 'a', 70); /* a label has 63 bytes at most: c-ares says so */
    strcpy(longest + 70, ".test");
    assert_true(find(&a, longest));
    assert_int_equal(a.found.error, HOST_BAD);
    assert_int_equal(first.a + first.aaaa, 0);
}

static void test_both_families(void **state)
{
    struct asker a;
    (void)state;
    assert_false(get(&a, "both.test"));
    assert_found(&a, 3, "192.0.2.1");
    assert_true(has(&a, "192.0.2.2") && has(&a, "2001:db8::1"));
    assert_int_equal(first.a, 1);
    assert_int_equal(first.aaaa, 1);
    assert_false(get(&a, "four.test"));
    assert_found(&a, 1, "192.0.2.7");
    assert_int_equal(loop.timers.count, 0); /* nothing under way: nothing set */
}

static void test_kept_with_another_port(void **state)
{
    struct asker a;
    struct names_found f;
    struct names_wait w = {0};
    (void)state;
    assert_false(get(&a, "four.test"));
    assert_true(names_find(names, CS_S("four.test"), 443, &f, &w));
    assert_int_equal(ntohs(((const struct sockaddr_in *)(const void *)&f.v[0].addr)->sin_port),
                     443);
    assert_int_equal(first.a, 1);
}

static void test_cname_and_least_ttl(void **state)
{
    struct asker a;
    (void)state;
    clock_freeze();
    assert_false(get(&a, "alias.test"));
    assert_found(&a, 3, "192.0.2.1");
    clock_advance(4999);
    assert_true(find(&a, "alias.test"));
    clock_advance(1);
    assert_false(get(&a, "alias.test"));
    assert_int_equal(first.a, 2);
}

static void test_ttl(void **state)
{
    static const struct {
        const char *name;
        unsigned ms;
    } rows[] = {{"both.test", 60000}, {"zero.test", NAMES_LEAST_MS}, {"day.test", NAMES_MOST_MS}};
    struct asker a;
    (void)state;
    clock_freeze();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int before = first.a;
        assert_false(get(&a, rows[i].name));
        clock_advance(rows[i].ms - 1);
        assert_true(find(&a, rows[i].name));
        assert_int_equal(a.found.error, HOST_FOUND);
        assert_int_equal(first.a, before + 1);
        clock_advance(1);
        assert_false(get(&a, rows[i].name));
        assert_int_equal(a.found.error, HOST_FOUND);
        assert_int_equal(first.a, before + 2);
    }
}

static void test_failures_are_kept_a_second(void **state)
{
    struct asker a;
    (void)state;
    clock_freeze();
    assert_false(get(&a, "none.test."));
    assert_error(&a, HOST_NONE, "there is no such host");
    assert_int_equal(first.a, 1);
    clock_advance(NAMES_FAILED_MS - 1);
    assert_true(find(&a, "none.test."));
    assert_error(&a, HOST_NONE, "there is no such host");
    clock_advance(1);
    assert_false(get(&a, "none.test."));
    assert_int_equal(first.a, 2);
}

static void test_one_query_for_all(void **state)
{
    struct asker a[4];
    (void)state;
    assert_false(find(&a[0], "both.test"));
    assert_false(find(&a[1], "BOTH.test"));
    assert_false(find(&a[2], "Both.Test"));
    assert_false(find(&a[3], "four.test"));
    UNTIL(a[0].calls && a[1].calls && a[2].calls && a[3].calls);
    for (int i = 0; i < 3; i++)
        assert_found(&a[i], 3, "192.0.2.2");
    for (int i = 0; i < 4; i++)
        assert_int_equal(a[i].calls, 1);
    assert_int_equal(first.a, 2);
    assert_true(find(&a[0], "BoTh.test"));
}

static void test_search_domain(void **state)
{
    struct asker a;
    (void)state;
    assert_false(get(&a, "short"));
    assert_found(&a, 1, "192.0.2.7");
    assert_string_equal(first.last, "short.corp");
    int before = first.a;
    assert_false(get(&a, "short.")); /* another name: as it is */
    assert_error(&a, HOST_NONE, "there is no such host");
    assert_int_equal(first.a, before + 1);
}

static void test_silent_server(void **state)
{
    struct asker a;
    (void)state;
    set_up_with(20, 0);
    assert_false(get(&a, "silent.test"));
    assert_error(&a, HOST_SILENT, "the name servers do not answer");
    assert_int_equal(first.a, 2); /* RESOLVER_TRIES */
}

static void test_nobody_at_the_port(void **state)
{
    struct asker a;
    (void)state;
    write_file(conf, "nameserver 127.0.0.3\n");
    get(&a, "both.test");
    assert_error(&a, HOST_SILENT, "the name servers do not answer");
}

/* The limit is over before c-ares gives up; the answer is used when it comes after all. */
static void test_limit(void **state)
{
    struct asker a, b;
    (void)state;
    set_up_with(LIMIT_MS, 20);
    clock_freeze();
    assert_false(find(&a, "late.test"));
    UNTIL(first.nlate == 2);
    clock_advance(19);
    turn();
    assert_int_equal(a.calls, 0);
    clock_advance(1);
    UNTIL(a.calls);
    assert_error(&a, HOST_SILENT, "the name servers do not answer");
    assert_true(find(&b, "late.test"));
    assert_error(&b, HOST_SILENT, "the name servers do not answer");
    answer_late(&first);
    UNTIL(find(&a, "late.test") && a.found.n);
    assert_found(&a, 3, "192.0.2.2");
    assert_int_equal(first.a, 1);
}

/* When the second of a failure is over and c-ares still waits, newcomers join that query, with a limit of their own. */
static void test_limit_and_again(void **state)
{
    struct asker a, b, c;
    (void)state;
    set_up_with(LIMIT_MS, 20);
    assert_false(get(&a, "late.test"));
    UNTIL(first.nlate == 2);
    clock_freeze();
    clock_advance(NAMES_FAILED_MS);
    assert_false(find(&b, "late.test"));
    assert_false(find(&c, "late.test"));
    clock_advance(20);
    UNTIL(b.calls && c.calls);
    assert_error(&b, HOST_SILENT, "the name servers do not answer");
    clock_advance(NAMES_FAILED_MS);
    assert_false(find(&b, "late.test"));
    answer_late(&first);
    UNTIL(b.calls);
    assert_found(&b, 3, "192.0.2.2");
    assert_int_equal(c.calls, 1);
    assert_int_equal(first.a, 1);
}

static void test_server_that_cannot_tell(void **state)
{
    struct asker a;
    (void)state;
    assert_false(get(&a, "fail.test"));
    assert_int_not_equal(a.found.error, HOST_FOUND);
    assert_int_not_equal(a.found.error, HOST_NONE);
    assert_false(get(&a, "garbage.test"));
    assert_error(&a, HOST_FAILED, "the name servers could not tell");
}

/* A datagram that is cut (the one with IPv6), so c-ares asks over TCP; of each family eight are taken. */
static void test_cut_answer(void **state)
{
    struct asker a;
    unsigned v6 = 0;
    (void)state;
    assert_false(get(&a, "many.test"));
    assert_int_equal(a.found.error, HOST_FOUND);
    assert_int_equal(a.found.n, 16);
    for (unsigned i = 0; i < a.found.n; i++)
        v6 += a.found.v[i].addr.ss_family == AF_INET6;
    assert_int_equal(v6, 8);
    assert_int_equal(first.over_tcp, 1);
    assert_int_equal(first.a, 1);
}

static void test_drop(void **state)
{
    struct asker a, b;
    (void)state;
    assert_false(find(&a, "late.test"));
    assert_false(find(&b, "late.test"));
    UNTIL(first.nlate == 2);
    names_drop(&a.wait);
    names_drop(&a.wait);
    answer_late(&first);
    UNTIL(b.calls);
    assert_int_equal(a.calls, 0);
    names_drop(&b.wait);
    assert_true(find(&a, "late.test"));
    memset(&a, 0, sizeof a);
    names_drop(&a.wait); /* never used */
}

static void test_answer_without_waiters_is_kept(void **state)
{
    struct asker a;
    (void)state;
    assert_false(find(&a, "late.test"));
    UNTIL(first.nlate == 2);
    names_drop(&a.wait);
    answer_late(&first);
    UNTIL(loop.timers.count == 0);
    assert_true(find(&a, "late.test"));
    assert_found(&a, 3, "192.0.2.1");
}

static struct asker other;

static void drop_other(struct asker *a)
{
    (void)a;
    names_drop(&other.wait);
}

static void test_drop_from_inside(void **state)
{
    struct asker a;
    (void)state;
    assert_false(find(&a, "both.test"));
    a.then = drop_other;
    assert_false(find(&other, "both.test"));
    UNTIL(a.calls);
    turn();
    assert_int_equal(other.calls, 0);
}

static void ask_other(struct asker *a)
{
    (void)a;
    assert_false(find(&other, "four.test"));
}

static void test_ask_from_inside(void **state)
{
    struct asker a;
    (void)state;
    assert_false(find(&a, "both.test"));
    a.then = ask_other;
    UNTIL(a.calls && other.calls);
    assert_found(&other, 1, "192.0.2.7");
}

static void test_free_while_waiting(void **state)
{
    struct asker a, b;
    (void)state;
    assert_false(find(&a, "late.test"));
    UNTIL(first.nlate == 2);
    assert_false(find(&b, "both.test"));
    names_free(names);
    names = NULL;
    assert_int_equal(loop.timers.count, 0);
    answer_late(&first);
    for (int i = 0; i < 3; i++)
        turn();
    assert_int_equal(a.calls + b.calls, 0);
    names_drop(&a.wait);
}

/* The answer has come and the task that tells of it is queued. */
static void test_free_before_telling(void **state)
{
    struct asker a;
    (void)state;
    assert_false(find(&a, "both.test"));
    for (uint64_t end = real_ms() + LIMIT_MS; list_empty(&loop.tasks); loop_dispatch(&loop)) {
        assert_true(real_ms() < end);
        loop_wait(&loop, 10);
    }
    names_free(names);
    names = NULL;
    turn();
    assert_int_equal(a.calls, 0);
}

static void test_oldest_goes(void **state)
{
    struct asker a;
    char name[32];
    (void)state;
    clock_freeze();
    for (int i = 0; i < NAMES_MOST; i++) {
        snprintf(name, sizeof name, "n%d.test", i);
        assert_false(get(&a, name));
        assert_int_equal(a.found.error, HOST_FOUND);
    }
    assert_true(find(&a, "n0.test"));
    assert_false(get(&a, "both.test"));
    assert_true(find(&a, "n1.test"));
    int before = first.a;
    assert_false(get(&a, "n0.test"));
    assert_int_equal(first.a, before + 1);
    assert_true(find(&a, "n2.test"));
    assert_false(get(&a, "n1.test"));
}

static void test_too_many_at_once(void **state)
{
    struct asker *all = calloc(NAMES_MOST, sizeof *all), a;
    char name[32];
    (void)state;
    assert_non_null(all);
    for (int i = 0; i < NAMES_MOST; i++) {
        snprintf(name, sizeof name, "silent%d.test", i);
        assert_false(find(&all[i], name));
    }
    assert_true(find(&a, "both.test"));
    assert_error(&a, HOST_BUSY, "too many names are being looked up");
    assert_false(find(&a, "silent7.test"));
    names_free(names);
    names = NULL;
    free(all);
}

static void test_hosts_file(void **state)
{
    struct asker a;
    (void)state;
    clock_freeze();
    assert_true(find(&a, "printer.test"));
    assert_found(&a, 2, "192.0.2.77");
    assert_true(has(&a, "2001:db8::77"));
    assert_true(find(&a, "PRINTER"));
    write_file(hosts, "192.0.2.78 printer.test\n");
    clock_advance(NAMES_LOCAL_MS - 1);
    assert_true(find(&a, "printer.test"));
    assert_true(has(&a, "192.0.2.77"));
    clock_advance(1);
    assert_true(find(&a, "printer.test"));
    assert_found(&a, 1, "192.0.2.78");
    assert_int_equal(first.a + first.aaaa, 0);
}

/* Whatever the file says of it; nothing is asked where it says nothing. */
static void test_localhost(void **state)
{
    struct asker a;
    (void)state;
    clock_freeze();
    assert_true(find(&a, "LocalHost"));
    assert_found(&a, 2, "127.0.0.1");
    assert_true(has(&a, "::1"));
    write_file(hosts, "127.0.0.5 localhost\n");
    clock_advance(NAMES_LOCAL_MS);
    assert_true(find(&a, "localhost"));
    assert_found(&a, 1, "127.0.0.5");
    assert_int_equal(first.a + first.aaaa, 0);
}

static void test_resolv_conf_changes(void **state)
{
    struct asker late, a;
    (void)state;
    clock_freeze();
    assert_false(find(&late, "late.test"));
    UNTIL(first.nlate == 2);
    write_file(conf, "nameserver 127.0.0.2\n");
    assert_false(get(&a, "both.test")); /* not looked at again yet */
    assert_int_equal(second.a, 0);
    clock_advance(1000);
    assert_false(get(&a, "four.test"));
    assert_int_equal(second.a, 1);
    assert_found(&a, 1, "192.0.2.7");
    answer_late(&first);
    UNTIL(late.calls);
    assert_found(&late, 3, "192.0.2.1");
    assert_int_equal(first.a, 2);
    clock_advance(1000);
    assert_false(get(&a, "n1.test")); /* the file is as it was */
    assert_int_equal(second.a, 2);
}

/* No system call, and no memory, before the first name: nothing to free either. */
static void test_unused(void **state)
{
    struct names *unused = names_new(&loop);
    (void)state;
    assert_int_equal(loop.timers.count, 0);
    names_free(unused);
    names_free(NULL);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/names_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(conf, sizeof conf, "%s/resolv.conf", folder);
    snprintf(hosts, sizeof hosts, "%s/hosts", folder);
    unsetenv("LOCALDOMAIN");
    unsetenv("RES_OPTIONS");
    unsetenv("HOSTALIASES");
    return setenv("CARES_HOSTS", hosts, 1);
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(conf);
    unlink(hosts);
    return rmdir(folder);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_text_needs_no_query),
        TEST(test_what_is_no_name),
        TEST(test_both_families),
        TEST(test_kept_with_another_port),
        TEST(test_cname_and_least_ttl),
        TEST(test_ttl),
        TEST(test_failures_are_kept_a_second),
        TEST(test_one_query_for_all),
        TEST(test_search_domain),
        TEST(test_silent_server),
        TEST(test_nobody_at_the_port),
        TEST(test_limit),
        TEST(test_limit_and_again),
        TEST(test_server_that_cannot_tell),
        TEST(test_cut_answer),
        TEST(test_drop),
        TEST(test_answer_without_waiters_is_kept),
        TEST(test_drop_from_inside),
        TEST(test_ask_from_inside),
        TEST(test_free_while_waiting),
        TEST(test_free_before_telling),
        TEST(test_oldest_goes),
        TEST(test_too_many_at_once),
        TEST(test_hosts_file),
        TEST(test_localhost),
        TEST(test_resolv_conf_changes),
        TEST(test_unused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
