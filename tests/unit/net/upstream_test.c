/* upstream_test.c - who is kept, for how long, in which order they are used, and what is counted. */
#define FAKE_NAMES
#include "net/upstream.h"

#include "net_fake.h"

#include "base/arena.h"

static struct upstreams *all;
static int64_t told[UPSTREAM_COUNTS];
static unsigned fds_before;

static void on_count(struct upstreams *u, enum upstream_count which, int by)
{
    assert_ptr_equal(u, all);
    told[which] += by;
}

static int set_up(void **state)
{
    (void)state;
    fake_begin();
    clock_freeze();
    memset(told, 0, sizeof told);
    fds_before = open_fds();
    all = upstreams_new(&loop, NULL);
    all->on_count = on_count;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    int64_t open = all->counts[UPSTREAM_OPEN], idle = all->counts[UPSTREAM_IDLE];
    assert_memory_equal(told, all->counts, sizeof told);
    assert_int_equal(open, idle); /* the tests give everything back */
    upstreams_free(all);
    assert_int_equal(told[UPSTREAM_OPEN], 0);
    assert_int_equal(told[UPSTREAM_IDLE], 0);
    assert_int_equal(open_fds(), fds_before);
    assert_int_equal(loop.timers.count, 0);
    clock_thaw();
    loop_free(&loop);
    return 0;
}

/* A connection; its other end goes to *peer. */
static struct upstream *connection(int *peer)
{
    int pair[2];
    assert_int_equal(fd_pair(SOCK_STREAM, pair), 0);
    *peer = pair[1];
    return upstream_new(all, pair[0]);
}

static int kept(const char *host, uint16_t port)
{
    int peer;
    upstream_keep(connection(&peer), str_of(host), port);
    return peer;
}

static bool has_ended(int peer)
{
    char byte;
    return recv(peer, &byte, 1, 0) == 0;
}

/* The other end of the one that is taken says which it is. */
static void take_and_say(const char *host, uint16_t port, const char *word)
{
    struct upstream *c = upstream_take(all, str_of(host), port);
    assert_non_null(c);
    assert_int_equal(c->io.events, UPSTREAM_INTEREST);
    say_z(c->stream.fd, word);
    upstream_close(c);
}

static void the_last_one_is_used_first(void **state)
{
    (void)state;
    int first = kept("a.example", 80), second = kept("a.example", 80);
    assert_int_equal(all->counts[UPSTREAM_IDLE], 2);
    take_and_say("a.example", 80, "2");
    take_and_say("a.example", 80, "1");
    assert_null(upstream_take(all, str_of("a.example"), 80));
    hear_z(second, "2");
    hear_z(first, "1");
    assert_int_equal(all->counts[UPSTREAM_REUSED], 2);
    fd_close(&first);
    fd_close(&second);
}

static void an_origin_is_host_and_port(void **state)
{
    (void)state;
    int peer = kept("A.example", 80);
    assert_null(upstream_take(all, str_of("a.example"), 81));
    assert_null(upstream_take(all, str_of("b.example"), 80));
    assert_null(upstream_take(all, str_of("a.exampl"), 80));
    assert_null(upstream_take(all, str_of(""), 80));
    take_and_say("a.EXAMPLE", 80, "x");
    fd_close(&peer);
}

static void many_origins_are_told_apart(void **state)
{
    (void)state;
    int peers[200];
    char host[32], word[16];
    for (int i = 0; i < 200; i++) {
        snprintf(host, sizeof host, "host%d.example", i);
        peers[i] = kept(host, 80);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(host, sizeof host, "host%d.example", i);
        snprintf(word, sizeof word, "%d.", i);
        take_and_say(host, 80, word);
        hear_z(peers[i], word);
        fd_close(&peers[i]);
    }
}

static void it_is_kept_for_its_time(void **state)
{
    (void)state;
    int first = kept("a.example", 80);
    advance(10000);
    int second = kept("a.example", 80);
    advance(UPSTREAM_IDLE_MS - 10001);
    assert_int_equal(all->counts[UPSTREAM_IDLE], 2);
    advance(1);
    assert_int_equal(all->counts[UPSTREAM_IDLE], 1);
    assert_true(has_ended(first));
    advance(9999);
    assert_false(has_ended(second));
    advance(1);
    assert_true(has_ended(second));
    assert_int_equal(all->counts[UPSTREAM_IDLE], 0);
    fd_close(&first);
    fd_close(&second);
}

/* The timer was set for one that has been used since: the time begins anew. */
static void use_begins_the_time_anew(void **state)
{
    (void)state;
    int peer = kept("a.example", 80);
    advance(20000);
    struct upstream *c = upstream_take(all, str_of("a.example"), 80);
    upstream_keep(c, str_of("a.example"), 80);
    advance(20000);
    assert_false(has_ended(peer));
    advance(10000);
    assert_true(has_ended(peer));
    fd_close(&peer);
}

static void what_speaks_or_ends_is_closed(void **state)
{
    (void)state;
    int speaks = kept("a.example", 80), ends = kept("b.example", 80), stays = kept("c.example", 80);
    settle();
    assert_int_equal(all->counts[UPSTREAM_IDLE], 3);
    say_z(speaks, "HTTP/1.1 200 OK\r\n");
    fd_close(&ends);
    settle();
    assert_int_equal(all->counts[UPSTREAM_IDLE], 1);
    hear_end(speaks);
    assert_null(upstream_take(all, str_of("a.example"), 80));
    assert_null(upstream_take(all, str_of("b.example"), 80));
    assert_false(has_ended(stays));
    fd_close(&speaks);
    fd_close(&stays);
}

/* The loop has not been told yet. */
static void what_has_just_ended_is_not_taken(void **state)
{
    (void)state;
    int good = kept("a.example", 80), speaks = kept("a.example", 80), ends = kept("a.example", 80);
    fd_close(&ends);
    say_z(speaks, "x");
    take_and_say("a.example", 80, "good");
    hear_z(good, "good");
    assert_int_equal(all->counts[UPSTREAM_IDLE], 0);
    assert_int_equal(all->counts[UPSTREAM_REUSED], 1);
    settle();
    fd_close(&good);
    fd_close(&speaks);
}

static void an_origin_keeps_so_many(void **state)
{
    (void)state;
    int peers[UPSTREAM_ORIGIN_IDLE + 2], other = kept("b.example", 80);
    for (int i = 0; i < UPSTREAM_ORIGIN_IDLE + 2; i++)
        peers[i] = kept("a.example", 80);
    assert_int_equal(all->counts[UPSTREAM_IDLE], UPSTREAM_ORIGIN_IDLE + 1);
    for (int i = 0; i < UPSTREAM_ORIGIN_IDLE + 2; i++) {
        assert_int_equal(has_ended(peers[i]), i < 2);
        fd_close(&peers[i]);
    }
    assert_false(has_ended(other));
    fd_close(&other);
    settle();
    assert_int_equal(all->counts[UPSTREAM_IDLE], 0);
}

static void a_process_keeps_so_many(void **state)
{
    (void)state;
    static int peers[UPSTREAM_IDLE_MAX + 1];
    char host[32];
    if (fd_limit_raise() < 2 * UPSTREAM_IDLE_MAX + 64)
        skip();
    for (int i = 0; i <= UPSTREAM_IDLE_MAX; i++) {
        snprintf(host, sizeof host, "host%d.example", i / 3);
        peers[i] = kept(host, 80);
    }
    assert_int_equal(all->counts[UPSTREAM_IDLE], UPSTREAM_IDLE_MAX);
    for (int i = 0; i <= UPSTREAM_IDLE_MAX; i++) {
        assert_int_equal(has_ended(peers[i]), i == 0);
        fd_close(&peers[i]);
    }
    settle();
    assert_int_equal(all->counts[UPSTREAM_IDLE], 0);
}

/* The one that goes is of the origin of the one that comes, and there was no other. */
static void the_oldest_goes_for_one_of_its_own(void **state)
{
    (void)state;
    static int peers[UPSTREAM_IDLE_MAX + 1];
    char host[32];
    if (fd_limit_raise() < 2 * UPSTREAM_IDLE_MAX + 64)
        skip();
    for (int i = 0; i <= UPSTREAM_IDLE_MAX; i++) {
        snprintf(host, sizeof host, "host%d.example", i % UPSTREAM_IDLE_MAX);
        peers[i] = kept(host, 80);
    }
    assert_true(has_ended(peers[0]));
    take_and_say("host0.example", 80, "new");
    hear_z(peers[UPSTREAM_IDLE_MAX], "new");
    for (int i = 0; i <= UPSTREAM_IDLE_MAX; i++)
        fd_close(&peers[i]);
    settle();
}

static void rooms_are_used_again(void **state)
{
    (void)state;
    struct rooms rooms = {0};
    struct room *taken[ROOM_SPARE + 1];
    for (int i = 0; i <= ROOM_SPARE; i++)
        taken[i] = room_take(&rooms);
    for (int i = 0; i <= ROOM_SPARE; i++)
        room_give(&rooms, taken[i]);
    assert_int_equal(rooms.nspare, ARENA_POISONS ? 0 : ROOM_SPARE);
    struct room *r = room_take(&rooms);
    memset(r->bytes, 'x', r->cap);
    r->len = r->cap;
    r->off = 10;
    r = room_grow(&rooms, r, 20000);
    assert_int_equal(r->cap, 20000);
    assert_int_equal(r->off, 0);
    assert_int_equal(r->len, ROOM_SIZE - 10);
    assert_int_equal(r->bytes[ROOM_SIZE - 11], 'x');
    r->off = 6;
    room_compact(r);
    assert_int_equal(r->len, ROOM_SIZE - 16);
    room_give(&rooms, r);
    room_give(&rooms, NULL);
    rooms_drain(&rooms);
    assert_int_equal(rooms.nspare, 0);
}

static void all_are_closed_at_the_end(void **state)
{
    (void)state;
    int a = kept("a.example", 80), b = kept("b.example", 81);
    struct upstreams *mine = all;
    upstreams_free(mine);
    assert_true(has_ended(a));
    assert_true(has_ended(b));
    assert_int_equal(told[UPSTREAM_OPEN], 0);
    fd_close(&a);
    fd_close(&b);
    memset(told, 0, sizeof told);
    all = upstreams_new(&loop, NULL);
    upstreams_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_one_is_used_first),
        TEST(an_origin_is_host_and_port),
        TEST(many_origins_are_told_apart),
        TEST(it_is_kept_for_its_time),
        TEST(use_begins_the_time_anew),
        TEST(what_speaks_or_ends_is_closed),
        TEST(what_has_just_ended_is_not_taken),
        TEST(an_origin_keeps_so_many),
        TEST(a_process_keeps_so_many),
        TEST(the_oldest_goes_for_one_of_its_own),
        TEST(rooms_are_used_again),
        TEST(all_are_closed_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
