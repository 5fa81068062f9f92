/* dial_test.c - who wins, in which order they begin, what is told when nobody stands, and that nothing stays open. */
#include "net/dial.h"

#include "net_fake.h"

#include <fcntl.h>
#include <netinet/tcp.h>

static int ended, fd;
static bool late;
static char why[DIAL_WHY_SIZE];
static unsigned fds_before;

static void on_end(void *whose, const struct dial_end *end)
{
    assert_ptr_equal(whose, &ended);
    ended++;
    fd = end->fd;
    late = end->late;
    snprintf(why, sizeof why, "%s", end->why);
}

static struct dial *dial(uint64_t ms)
{
    return dial_new(&loop, fake_found.v, fake_found.n, ms ? clock_ms() + ms : 0, on_end, &ended);
}

static int set_up(void **state)
{
    (void)state;
    fake_begin();
    ended = 0;
    fd = -1;
    late = false;
    why[0] = '\0';
    clock_freeze();
    fds_before = open_fds();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fd_close(&fd);
    assert_int_equal(open_fds(), fds_before);
    assert_int_equal(loop.timers.count, 0);
    clock_thaw();
    loop_free(&loop);
    return 0;
}

static void one_stands(void **state)
{
    (void)state;
    uint16_t port;
    int on = 0, server = server_new(4, &port);
    socklen_t len = sizeof on;
    fake_add(port);
    dial(0);
    assert_int_equal(ended, 0);
    UNTIL(ended);
    int peer = server_accept(server);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_true(on);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    say_z(fd, "here");
    hear_z(peer, "here");
    settle();
    assert_int_equal(ended, 1);
    fd_close(&peer);
    fd_close(&server);
}

static void the_next_one_begins_when_one_fails(void **state)
{
    (void)state;
    uint16_t refuses, stands;
    int closed = server_new(-1, &refuses), server = server_new(4, &stands);
    fake_add(refuses);
    fake_add(stands);
    dial(0);
    UNTIL(ended); /* the clock stands still */
    assert_true(fd >= 0);
    int peer = server_accept(server);
    fd_close(&peer);
    fd_close(&server);
    fd_close(&closed);
}

static void all_refuse(void **state)
{
    (void)state;
    uint16_t port[2];
    char expected[DIAL_WHY_SIZE];
    int closed[2] = {server_new(-1, &port[0]), server_new(-1, &port[1])};
    fake_add(port[0]);
    fake_add(port[1]);
    dial(1000);
    UNTIL(ended);
    assert_int_equal(fd, -1);
    assert_false(late);
    snprintf(expected, sizeof expected,
             "127.0.0.1:%u: Connection refused; 127.0.0.1:%u: Connection refused", port[0],
             port[1]);
    assert_string_equal(why, expected);
    fd_close(&closed[0]);
    fd_close(&closed[1]);
}

/* Sixteen sentences do not fit, and nothing is written behind the end. */
static void what_is_told_is_cut(void **state)
{
    (void)state;
    uint16_t port;
    int closed = server_new(-1, &port);
    for (int i = 0; i < NAMES_ADDRESSES; i++)
        fake_add(port);
    dial(0);
    UNTIL(ended);
    assert_int_equal(strlen(why), DIAL_WHY_SIZE - 1);
    fd_close(&closed);
}

static void a_silent_one_does_not_stop_the_next(void **state)
{
    (void)state;
    struct silent s;
    uint16_t stands;
    int server = server_new(4, &stands);
    silent_open(&s);
    fake_add(s.port);
    fake_add(stands);
    dial(0);
    settle();
    advance(DIAL_NEXT_MS - 1);
    assert_true(nobody_comes(server));
    assert_int_equal(ended, 0);
    advance(1);
    UNTIL(ended);
    assert_true(fd >= 0);
    int peer = server_accept(server);
    say_z(fd, "x");
    hear_z(peer, "x");
    fd_close(&peer);
    fd_close(&server);
    silent_close(&s);
}

/* silent, refuses, stands: the third begins with the failure of the second, not 250 ms later. */
static void failures_count_beside_silence(void **state)
{
    (void)state;
    struct silent s;
    uint16_t refuses, stands;
    int closed = server_new(-1, &refuses), server = server_new(4, &stands);
    silent_open(&s);
    fake_add(s.port);
    fake_add(refuses);
    fake_add(stands);
    dial(0);
    advance(DIAL_NEXT_MS);
    UNTIL(ended);
    assert_true(fd >= 0);
    fd_close(&closed);
    fd_close(&server);
    silent_close(&s);
}

static void the_time_is_over(void **state)
{
    (void)state;
    struct silent s;
    uint16_t refuses;
    char expected[DIAL_WHY_SIZE];
    int closed = server_new(-1, &refuses);
    silent_open(&s);
    fake_add(refuses);
    fake_add(s.port);
    dial(1000);
    settle();
    advance(999);
    assert_int_equal(ended, 0);
    advance(1);
    assert_int_equal(ended, 1);
    assert_true(late);
    assert_int_equal(fd, -1);
    snprintf(expected, sizeof expected, "127.0.0.1:%u: Connection refused; 127.0.0.1:%u: no answer",
             refuses, s.port);
    assert_string_equal(why, expected);
    fd_close(&closed);
    silent_close(&s);
}

static void ipv6(void **state)
{
    (void)state;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof in6;
    int server = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server < 0 || bind(server, (struct sockaddr *)&in6, len) < 0) {
        fd_close(&server);
        skip();
    }
    assert_int_equal(getsockname(server, (struct sockaddr *)&in6, &len), 0);
    memcpy(&fake_found.v[0].addr, &in6, len);
    fake_found.v[0].len = len;
    fake_found.n = 1;
    dial(0);
    UNTIL(ended);
    char expected[64];
    snprintf(expected, sizeof expected, "[::1]:%u: Connection refused", ntohs(in6.sin6_port));
    assert_string_equal(why, expected);
    ended = 0;
    assert_int_equal(listen(server, 1), 0);
    dial(0);
    UNTIL(ended);
    assert_true(fd >= 0);
    fd_close(&server);
}

/* Nothing comes afterwards, and nothing stays open (tear_down looks). */
static void dropped_at_every_stage(void **state)
{
    (void)state;
    struct silent s;
    uint16_t port, refuses;
    int server = server_new(4, &port), closed = server_new(-1, &refuses);
    silent_open(&s);

    fake_add(refuses);
    dial_drop(dial(0)); /* it has failed, and nobody was told */

    fake_found.n = 0;
    fake_add(port);
    dial_drop(dial(0));
    struct dial *d = dial(100);
    struct pollfd ready = {.fd = loop.epfd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, DEADLINE_S * 1000), 1);
    assert_int_equal(loop_wait(&loop, 0), 1);
    loop_dispatch(&loop); /* it stands, and nobody was told */
    dial_drop(d);

    fake_found.n = 0;
    fake_add(s.port);
    fake_add(s.port);
    d = dial(1000);
    advance(DIAL_NEXT_MS);
    dial_drop(d);
    dial_drop(NULL);
    advance(2000);
    settle();
    assert_int_equal(ended, 0);
    fd_close(&server);
    fd_close(&closed);
    silent_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_one_begins_when_one_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_refuse, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_told_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_silent_one_does_not_stop_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_count_beside_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_time_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ipv6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dropped_at_every_stage, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
