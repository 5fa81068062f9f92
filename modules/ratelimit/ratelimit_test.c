/* 600 tries over 8 workers within a second, 60 a minute: 60 pass. No key can push out another one by its choice, and nothing
 * is held by the dead. */
#undef NDEBUG
#include "held.c"
#include "siphash.h"
#include "table.c"

#include <assert.h>
#include <cserver/test.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM (TABLE_SETS * TABLE_WAYS)

static struct limits {
    struct table table;
    struct held held;
} * all; /* shared with children */

static void begin(void)
{
    all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(all != MAP_FAILED);
    table_init(&all->table);
    held_init(&all->held);
}

static void end(void)
{
    assert(own == -1);
    munmap(all, sizeof *all);
}

/* The example of the paper, and a text of whole words and a rest. */
static void test_siphash(void)
{
    const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    uint64_t got[2];
    struct siphash s;
    siphash_begin(&s, key);
    siphash_end(&s, got);
    assert(got[0] == 0xe6a825ba047f81a3u && got[1] == 0x930255c71472f66du);
    siphash_begin(&s, key);
    siphash_add(&s, "abcdefgh", 8);
    siphash_add(&s, "ijklmnopqrs", 11);
    siphash_end(&s, got);
    uint64_t same[2];
    siphash_begin(&s, key);
    siphash_add(&s, "abcdefghijklmnopqr", 18);
    siphash_add(&s, "s", 1);
    siphash_end(&s, same);
    assert(got[0] == same[0] && got[1] == same[1] && got[0] == 0x20a396c2a6ee5bc0u &&
           got[1] == 0x3af25bac837c3499u);
}

static uint64_t hash_of(uint64_t n, uint64_t id[2])
{
    struct siphash s;
    siphash_begin(&s, all->table.seed);
    siphash_add(&s, &n, sizeof n);
    siphash_end(&s, id);
    return id[0];
}

static struct bucket *find(uint64_t n, int64_t now, _Bool *forgotten)
{
    uint64_t id[2];
    hash_of(n, id);
    return table_find(&all->table, id, now, forgotten);
}

/* Where there are more keys than room the table still limits those who come again soon, and says what it forgets. */
static void test_full(void)
{
    const struct rate rate = {1, 1000000, 1};
    size_t lost = 0, taken = 0;
    begin();
    for (uint64_t n = 1; n <= (uint64_t)3 * ROOM; n++) {
        _Bool forgotten;
        struct bucket *b = find(n, (int64_t)n, &forgotten);
        lost += forgotten;
        assert(b && bucket_wait(b, rate, (int64_t)n) == 0);
        bucket_take(b, rate);
        assert(find(n, (int64_t)n, &forgotten) == b && !forgotten);
        assert(bucket_wait(b, rate, (int64_t)n) == 1000000);
    }
    for (size_t i = 0; i < ROOM; i++)
        taken += all->table.all[i].id[0] != 0;
    assert(taken == ROOM && lost == (size_t)2 * ROOM);
    end();
}

/* Who is full again goes first, whoever came last; who has requests under way stays. */
static void test_who_goes(void)
{
    _Bool forgotten;
    uint64_t id[2] = {7, 0};
    begin();
    for (uint64_t i = 0; i < TABLE_WAYS; i++) {
        id[1] = i;
        struct bucket *b = table_find(&all->table, id, 1, &forgotten);
        assert(!forgotten && bucket_wait(b, (struct rate){1, 1000, 1}, 1) == 0);
        bucket_take(b, (struct rate){1, i == 5 ? 10 : 1000, 1});
        b->held = i != 5 && i != 6;
    }
    id[1] = 100;
    struct bucket *b = table_find(&all->table, id, 500, &forgotten);
    assert(b && !forgotten); /* in place of 5, which was full again */
    b->held = 1;
    id[1] = 101;
    b = table_find(&all->table, id, 500, &forgotten);
    assert(b && forgotten); /* 6 was not */
    b->held = 1;
    id[1] = 102;
    assert(!table_find(&all->table, id, 500, &forgotten) && !forgotten);
    end();
}

/* A child takes `n` and is killed. */
static void take_and_die(struct bucket *b, int n)
{
    const pid_t child = fork();
    int status;
    if (!child) {
        own = -1;
        while (n--)
            held_take(&all->held, &all->table, b, 3);
        kill(getpid(), SIGKILL);
        _exit(0);
    }
    assert(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

static void test_the_dead(void)
{
    _Bool forgotten;
    begin();
    struct bucket *b = find(1, 1, &forgotten);
    const int mine = held_take(&all->held, &all->table, b, 3);
    for (int i = 0; i < 3; i++)
        take_and_die(b, 100);
    assert(mine >= 0 &&
           b->held == 101); /* who comes takes the place of a dead one, and buries him */
    held_bury(&all->held, &all->table);
    assert(b->held == 1 && all->held.used == 101);
    take_and_die(b, 50);
    assert(b->held == 51 && all->held.used == 101);
    held_give(&all->held, &all->table, mine);
    assert(b->held == 50 && own == -1);
    held_bury(&all->held, &all->table);
    assert(b->held == 0);
    end();
}

/* Whatever has been left half done. */
static void test_recovery(void)
{
    _Bool forgotten;
    begin();
    struct bucket *b = find(1, 1, &forgotten), *other = find(2, 1, &forgotten);
    const int mine = held_take(&all->held, &all->table, b, 1),
              more = held_take(&all->held, &all->table, b, 1);
    take_and_die(other, 10);
    b->held = 77;
    other->held = 1;
    all->held.free = 4;
    all->held.workers[1].count = 0;
    held_recover(&all->held, &all->table);
    assert(b->held == 2 && other->held == 0 && all->held.workers[own].count == 2);
    int numbers[10];
    for (int i = 0; i < 10; i++)
        numbers[i] = held_take(&all->held, &all->table, other, 1);
    assert(all->held.used == 12 && other->held == 10);
    for (int i = 0; i < 10; i++)
        held_give(&all->held, &all->table, numbers[i]);
    held_give(&all->held, &all->table, more);
    held_give(&all->held, &all->table, mine);
    assert(b->held == 0 && other->held == 0);
    end();
}

/* There is room for so many; the dead make room. */
static void test_no_room(void)
{
    _Bool forgotten;
    begin();
    struct bucket *b = find(1, 1, &forgotten);
    take_and_die(b, HELD_MOST);
    assert(b->held == HELD_MOST);
    int number = held_take(&all->held, &all->table, b, 1);
    assert(number >= 0 && b->held == 1);
    for (int i = 1; i < HELD_MOST; i++)
        assert(held_take(&all->held, &all->table, b, 1) >= 0);
    assert(held_take(&all->held, &all->table, b, 1) == -1 && b->held == HELD_MOST);
    for (int i = 0; i < HELD_MOST; i++)
        held_give(&all->held, &all->table, i);
    assert(b->held == 0);
    end();
}

static int tries(struct cst *t, int n)
{
    int passed = 0;
    for (int i = 0; i < n; i++) {
        cst_answer a = cst_get(t, "/");
        passed += a.status == 200;
        if (a.status != 200)
            cst_expect(a, 429, NULL);
    }
    return passed;
}

static void test_rate(void)
{
    struct cst *t =
        cst_open("./ratelimit.so", "requests = 60\nper = 1m\n", .worker = 1, .workers = 8);
    int passed = tries(t, 75);
    for (int worker = 2; worker <= 8; worker++) {
        cst_worker(t, worker, 8);
        passed += tries(t, 75);
    }
    assert(passed == 60);
    assert(cst_counter(t, "refused_total") == 540);
    cst_answer a = cst_get(t, "/");
    assert(cst_is(cst_field(&a, "Retry-After"), "1"));
    cst_advance(t, 30000);
    assert(tries(t, 100) == 30);
    cst_fail(t, "zone_lock", 1);
    cst_expect(cst_get(t, "/"), 200, "ok\n");
    cst_close(t);
}

#define BODY "Content-Length: 2\n" /* the handler waits for it */

static void test_connections(void)
{
    struct cst *t = cst_open("./ratelimit.so", "requests = off\nconnections = 2\n");
    cst_req *one = cst_begin(t, "POST", "/", BODY, ""), *two = cst_begin(t, "POST", "/", BODY, "");
    cst_run(t);
    cst_answer a = cst_expect(cst_get(t, "/"), 429, NULL);
    assert(cst_is(cst_field(&a, "Retry-After"), "1"));
    cst_send_body(one, 1, "ab");
    cst_expect(cst_finish(one), 200, "ok\n");
    cst_expect(cst_get(t, "/"), 200, "ok\n");
    one = cst_begin(t, "POST", "/", BODY, "");
    cst_run(t);
    cst_expect(cst_get(t, "/"), 429, NULL);
    cst_abort(one);
    cst_run(t);
    cst_expect(cst_get(t, "/"), 200, "ok\n");
    cst_fail(t, "on_close", 1); /* no memory: what was taken is given back */
    cst_expect(cst_get(t, "/"), 503, NULL);
    for (unsigned k = 1; k < 3; k++) {
        cst_fail(t, "alloc", k);
        cst_expect(cst_get(t, "/"), 503, NULL);
    }
    for (int i = 0; i < 10; i++)
        cst_expect(cst_get(t, "/"), 200, "ok\n");
    cst_send_body(two, 1, "ab");
    cst_expect(cst_finish(two), 200, "ok\n");
    assert(cst_counter(t, "busy_total") == 2 && cst_counter(t, "refused_total") == 0);
    cst_close(t);
}

static void test_fields(void)
{
    static const char *const left[] = {"2", "1", "0", "0"}, *const reset[] = {"20", "40", "60",
                                                                              "60"};
    struct cst *t = cst_open("./ratelimit.so", "requests = 3\nfields = on\n");
    for (int i = 0; i < 4; i++) {
        cst_answer a = cst_get(t, "/");
        assert(a.status == (i < 3 ? 200 : 429));
        assert(cst_is(cst_field(&a, "RateLimit-Limit"), "3"));
        assert(cst_is(cst_field(&a, "RateLimit-Remaining"), left[i]));
        assert(cst_is(cst_field(&a, "RateLimit-Reset"), reset[i]));
    }
    cst_close(t);
}

/* One limit for two routes; and one that is off where it is excepted. */
static void test_names(void)
{
    struct cst *t =
        cst_open("./ratelimit.so",
                 "[module:ratelimit]\nrequests = 2\nlimit = both\n[site:a]\nuse = ratelimit\n"
                 "[route:a]\nmatch = /a\nhandler = ok\n[route:b]\nmatch = /b\nhandler = ok\n"
                 "[route:own]\nmatch = /own\nhandler = ok\nlimit =\n"
                 "[route:free]\nmatch = /free\nhandler = ok\nrequests = off\n");
    static const struct {
        const char *path;
        int status;
    } rows[] = {{"/a", 200},   {"/b", 200},   {"/a", 429},    {"/b", 429},    {"/own", 200},
                {"/own", 200}, {"/own", 429}, {"/free", 200}, {"/free", 200}, {"/free", 200}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cst_expect(cst_get(t, rows[i].path), rows[i].status, NULL);
    cst_close(t);
}

/* Texts by which requests are told apart. */
static void test_keys(void)
{
    struct cst *t = cst_open("./ratelimit.so", "requests = 1\nkey = ${header.k}\n");
    static const struct {
        const char *header;
        int status;
    } rows[] = {
        {"K: a\n", 200},
        {"K: a\n", 429},
        {"K: A\n", 200},
        {"", 200},
        {"X: y\n", 429},
        {"K:\n", 429},
        {"K: 1.2.3.4\n", 200},
        {"K: ::ffff:1.2.3.4\n", 429},
        {"K: 1.2.3.5\n", 200},
        {"K: 2001:db8::1\n", 200},
        {"K: 2001:db8:0::2\n", 429},
        {"K: 2001:db8:0:0:ffff::\n", 429},
        {"K: 2001:db8:0:1::1\n", 200},
        {"K: 2001:db8:: 1\n", 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cst_expect(cst_request(t, "GET", "/", rows[i].header, ""), rows[i].status, NULL);
    cst_close(t);
    assert(strstr(cst_check("./ratelimit.so", "key = ${clent}\n"), "did you mean ${client}?"));
}

int main(void)
{
    test_keys();
    test_siphash();
    test_full();
    test_who_goes();
    test_the_dead();
    test_recovery();
    test_no_room();
    test_rate();
    test_connections();
    test_fields();
    test_names();
}
