/* exchange_drop_test.c - an exchange is dropped and its memory freed, at every stage and inside every callback: nobody touches it
 * afterwards, nobody is told, and nothing stays open (tear_down looks). */
#include "exchange_fake.h"

static bool freed;

static struct client *watched(struct client *c)
{
    freed = false;
    c->freed = &freed;
    return c;
}

/* The request has come, and is left there. */
static bool has_asked(int peer)
{
    char byte;
    return recv(peer, &byte, 1, MSG_PEEK) == 1;
}

/* ---- From outside ---- */

static void before_it_has_begun(void **state)
{
    (void)state;
    client_free(get());
    struct client *never = client_new();
    exchange_resume(&never->x);
    assert_int_equal(exchange_send(&never->x, CS_S("x"), true), CS_CLOSED);
    client_free(never);
    assert_true(nobody_comes(server));
}

/* The socket was taken over by then. */
static void before_a_given_socket_is_used(void **state)
{
    (void)state;
    int pair[2];
    struct client *c = client_new();
    assert_int_equal(fd_pair(SOCK_STREAM, pair), 0);
    c->opts.fd = pair[0];
    c->opts.host = (cs_str){0};
    exchange_start(&c->x, &c->opts);
    client_free(c);
    hear_end(pair[1]);
    fd_close(&pair[1]);
}

static void while_the_name_is_looked_up(void **state)
{
    (void)state;
    fake_later = true;
    struct client *c = client_new();
    c->opts.connect_ms = 100;
    exchange_start(&c->x, &c->opts);
    UNTIL(fake_waits);
    client_free(c);
    assert_null(fake_waits);
    advance(1000);
}

static void while_it_connects(void **state)
{
    (void)state;
    struct silent s;
    silent_open(&s);
    fake_found.n = 0;
    fake_add(s.port);
    struct client *c = client_new();
    c->opts.connect_ms = 100;
    exchange_start(&c->x, &c->opts);
    settle();
    client_free(c);
    advance(1000);
    silent_close(&s);
}

/* So many turns of the loop after its start; the server says a bit more in each. True: it was over by then. */
static bool dropped_after(int turns, bool kept)
{
    static const char *const parts[] = {
        "HTTP/1.1 2", "00 OK\r\nTransfer-Encoding: ", "chunked\r\n\r\n", "3\r\nab", "c\r\n0\r\n",
        "\r\n"};
    size_t said = 0;
    int peer = kept ? kept_connection() : -1;
    struct client *c = client_new();
    c->opts.head_ms = c->opts.idle_ms = c->opts.connect_ms = 1000;
    exchange_start(&c->x, &c->opts);
    for (int i = 0; i < turns; i++) {
        turn(1);
        if (peer < 0)
            peer = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        else if (has_asked(peer) && said < ARRAY_LEN(parts))
            say_z(peer, parts[said++]);
    }
    bool over = c->overs > 0;
    assert_true(!over || c->result == EXCHANGE_OK);
    client_free(c);
    settle();
    fd_close(&peer);
    settle();
    assert_int_equal(counted(UPSTREAM_OPEN), 0);
    while (!nobody_comes(server))
        ;
    return over;
}

static void after_each_turn(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        int turns = 0;
        while (!dropped_after(turns, kept))
            assert_true(++turns < 100);
        assert_true(turns >= 6);
    }
}

static void while_it_rests(void **state)
{
    (void)state;
    for (int resumed = 0; resumed < 2; resumed++) {
        struct client *c = get();
        int peer = accept_request(c);
        c->pause = true;
        say_z(peer, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
        UNTIL(c->refused);
        if (resumed)
            exchange_resume(&c->x);
        client_free(c);
        settle();
        hear_end(peer);
        fd_close(&peer);
    }
}

static void while_much_waits_to_be_sent(void **state)
{
    (void)state;
    char piece[50000] = {0};
    int rc = CS_OK;
    struct client *c = post(false);
    int peer = server_accept(server);
    while (rc == CS_OK)
        rc = exchange_send(&c->x, (cs_str){piece, sizeof piece}, false);
    client_free(c);
    settle();
    fd_close(&peer);
}

static void when_it_is_over(void **state)
{
    (void)state;
    struct client *c = get();
    int peer = accept_request(c);
    say_z(peer, NOBODY_TAKE);
    UNTIL(c->overs);
    exchange_drop(&c->x);
    exchange_drop(&c->x);
    client_free(c);
    assert_int_equal(counted(UPSTREAM_IDLE), 1); /* its connection stays */
    fd_close(&peer);
}

/* ---- Inside callbacks ---- */

static void inside_what_an_answer_calls(void **state)
{
    (void)state;
    static const enum moment moments[] = {AT_HEAD, AT_DATA, AT_OVER};
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n2\r\nho\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
    };
    for (size_t m = 0; m < ARRAY_LEN(moments); m++) {
        for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
            for (size_t cut = 0; cut < strlen(answers[i]); cut += 7) {
                int peer;
                struct client *c = watched(get_over(&peer));
                c->free_at = moments[m];
                say(peer, answers[i], cut);
                turn(0);
                if (!freed)
                    say_z(peer, answers[i] + cut);
                UNTIL(freed);
                settle();
                hear_end(peer);
                fd_close(&peer);
            }
        }
    }
}

static void inside_data_that_is_delivered_again(void **state)
{
    (void)state;
    struct client *c = watched(get());
    int peer = accept_request(c);
    c->pause = true;
    say_z(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    UNTIL(c->refused);
    c->pause = false;
    c->free_at = AT_DATA;
    exchange_resume(&c->x);
    UNTIL(freed);
    settle();
    fd_close(&peer);
}

static void inside_on_drain(void **state)
{
    (void)state;
    char piece[50000] = {0}, drop[65536];
    for (int broken = 0; broken < 2; broken++) {
        int rc = CS_OK;
        struct client *c = watched(post(true));
        int peer = server_accept(server);
        settle();
        c->free_at = AT_DRAIN;
        while (rc == CS_OK)
            rc = exchange_send(&c->x, (cs_str){piece, sizeof piece}, false);
        assert_int_equal(rc, CS_AGAIN);
        if (broken)
            reset(&peer);
        UNTIL(freed || (!broken && recv(peer, drop, sizeof drop, 0) == 0));
        assert_true(freed);
        settle();
        fd_close(&peer);
    }
}

static void fails_and_is_freed(struct client *c)
{
    watched(c)->free_at = AT_OVER;
    UNTIL(freed);
    settle();
}

static void inside_the_end_that_failed(void **state)
{
    (void)state;
    uint16_t refuses;
    int closed = server_new(-1, &refuses);
    struct client *c = get();
    int peer = accept_request(c);
    fd_close(&peer);
    fails_and_is_freed(c); /* no answer */

    c = get();
    peer = accept_request(c);
    say_z(peer, "SSH-2.0-x\r\n");
    fails_and_is_freed(c);
    fd_close(&peer);

    c = client_new();
    c->opts.head_ms = 100;
    exchange_start(&c->x, &c->opts);
    peer = accept_request(c);
    settle();
    clock_advance(100);
    fails_and_is_freed(c);
    fd_close(&peer);

    peer = kept_connection(); /* repeated, and then there is nobody */
    c = get();
    hear(peer, c->opts.head.p, c->opts.head.n);
    fake_found.n = 0;
    fake_add(refuses);
    fd_close(&peer);
    fails_and_is_freed(c);

    fails_and_is_freed(get());
    fake_found = (struct names_found){.error = HOST_NONE, .text = "there is no such host"};
    fails_and_is_freed(get());
    fake_later = true;
    c = get();
    UNTIL(fake_waits);
    watched(c)->free_at = AT_OVER;
    fake_tell();
    assert_true(freed);
    fd_close(&closed);
}

/* Each may end others that are about to be called in the same turn. */
static struct client *other;

static void drop_other(struct exchange *x)
{
    (void)x;
    if (other)
        exchange_drop(&other->x);
    other = NULL;
}

static void one_ends_another(void **state)
{
    (void)state;
    int peer[2];
    struct client *c[2] = {get_over(&peer[0]), get_over(&peer[1])};
    for (int i = 0; i < 2; i++) {
        c[i]->x.on_head = drop_other;
        say_z(peer[i], "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    }
    /* Whoever comes first drops the second; if it is told at all it drops nobody. */
    other = c[1];
    while (loop_wait(&loop, 0) < 2)
        ;
    loop_dispatch(&loop);
    loop_reap(&loop);
    settle();
    assert_null(other);
    for (int i = 0; i < 2; i++) {
        client_free(c[i]);
        settle();
        hear_end(peer[i]);
        fd_close(&peer[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(before_it_has_begun),
        TEST(before_a_given_socket_is_used),
        TEST(while_the_name_is_looked_up),
        TEST(while_it_connects),
        TEST(after_each_turn),
        TEST(while_it_rests),
        TEST(while_much_waits_to_be_sent),
        TEST(when_it_is_over),
        TEST(inside_what_an_answer_calls),
        TEST(inside_data_that_is_delivered_again),
        TEST(inside_on_drain),
        TEST(inside_the_end_that_failed),
        TEST(one_ends_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
