/* exchange_flow_test.c - bodies in both directions at the pace of the slower side: who is slow costs neither memory nor turns of
 * the loop. And how many calls of the kernel a request takes. */
#include "exchange_fake.h"

#include "http/body.h"

#include <sys/syscall.h>

#define MIB (1024 * 1024)

/* ---- In the place of the C library's, to count and to disturb; servers of the test send by other calls. ---- */

static size_t most = SIZE_MAX; /* bytes that one call takes */
static int fail_with;          /* errno of the next one */
static unsigned sends, recvs, ctls;

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    sends++;
    if (fail_with) {
        errno = fail_with;
        fail_with = 0;
        return -1;
    }
    return syscall(SYS_sendto, fd, p, n < most ? n : most, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    const struct iovec *v = msg->msg_iov;
    if (most != SIZE_MAX || fail_with)
        return send(fd, v->iov_base, v->iov_len, flags);
    sends++;
    return syscall(SYS_sendmsg, fd, msg, flags);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
    recvs++;
    return syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    ctls++;
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

/* Bytes of which each piece looks different. */
static char byte_at(size_t i)
{
    return (char)('a' + (i + i / 26 + i / 1000) % 26);
}

static char *bytes_new(size_t n)
{
    char *p = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(i);
    p[n] = '\0';
    return p;
}

/* What the server can send before the client takes more; 0: the pipe is full. */
static size_t say_what_fits(int fd, const char *p, size_t n)
{
    ssize_t sent = sendto(fd, p, n, MSG_NOSIGNAL, NULL, 0);
    return sent > 0 ? (size_t)sent : 0;
}

static size_t hear_what_is_there(int fd, struct buf *to)
{
    ssize_t n = recv(fd, buf_reserve(to, 65536), 65536, 0);
    if (n > 0)
        buf_added(to, (size_t)n);
    return n > 0 ? (size_t)n : 0;
}

static bool loop_rests(void)
{
    settle();
    for (int i = 0; i < 5; i++)
        if (turn(0) != 0)
            return false;
    return true;
}

/* ---- The answer ---- */

#define LONG_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n"

static void a_slow_receiver_costs_no_memory(void **state)
{
    (void)state;
    size_t n = 8 * MIB, sent = 0;
    char *body = bytes_new(n);
    struct client *c = get();
    int peer = accept_request(c);
    say_z(peer, LONG_HEAD);
    c->pause = true;
    for (int quiet = 0; quiet < 5;) { /* until nothing more goes into the pipe */
        size_t some = say_what_fits(peer, body + sent, n - sent);
        sent += some;
        quiet = some ? 0 : quiet + 1;
        settle();
    }
    assert_true(sent < n);
    assert_int_equal(c->refused, 1); /* nobody has been asked again */
    assert_int_equal(c->x.room->cap, ROOM_SIZE);
    assert_true(loop_rests());
    while (sent < n || !c->overs) { /* takes a bit, then rests, again and again */
        c->pause = !c->pause;
        if (!c->pause)
            exchange_resume(&c->x);
        turn(0);
        sent += sent < n ? say_what_fits(peer, body + sent, n - sent) : 0;
        assert_true(!c->x.room || c->x.room->cap == ROOM_SIZE);
    }
    assert_true(c->refused > 10);
    assert_int_equal(c->result, EXCHANGE_OK);
    assert_int_equal(c->body.n, n);
    assert_memory_equal(c->body.p, body, n);
    assert_int_equal(counted(UPSTREAM_IDLE), 1);
    client_free(c);
    free(body);
    fd_close(&peer);
}

/* What makes room may do so before on_data has said that there is none. */
static void a_resume_is_not_lost(void **state)
{
    (void)state;
    struct client *c = get();
    int peer = accept_request(c);
    say_z(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 1; i <= 3; i++) {
        c->resume_first = true;
        say_z(peer, "3\r\nabc\r\n");
        UNTIL(c->body.n == 3 * (size_t)i);
        assert_int_equal(c->refused, i);
    }
    /* When it is delivered again, it may happen again. */
    c->pause = true;
    say_z(peer, "3\r\nabc\r\n0\r\n\r\n");
    UNTIL(c->refused == 4);
    c->pause = false;
    c->resume_first = true;
    exchange_resume(&c->x);
    is_answered(c, 200, "abcabcabcabc");
    fd_close(&peer);
}

static void an_end_in_a_pause_is_seen_afterwards(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        for (int by_reset = 0; by_reset < 2; by_reset++) {
            struct client *c = get();
            int peer = accept_request(c);
            c->pause = true;
            say_z(peer, whole ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
                              : "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello");
            UNTIL(c->refused);
            settle();
            if (by_reset)
                reset(&peer);
            else
                fd_close(&peer);
            assert_true(loop_rests());
            assert_int_equal(c->overs, 0);
            c->pause = false;
            exchange_resume(&c->x);
            UNTIL(c->overs);
            assert_string_equal(c->body.p, "hello");
            assert_int_equal(c->result, whole ? EXCHANGE_OK : EXCHANGE_BROKEN);
            client_free(c);
        }
    }
}

static void resuming_what_does_not_rest_does_nothing(void **state)
{
    (void)state;
    struct client *c = get();
    exchange_resume(&c->x);
    int peer = accept_request(c);
    exchange_resume(&c->x);
    say_z(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    UNTIL(c->heads);
    exchange_resume(&c->x);
    settle();
    say_z(peer, "hi");
    UNTIL(c->overs);
    exchange_resume(&c->x);
    is_answered(c, 200, "hi");
    fd_close(&peer);
}

/* ---- The request ---- */

static const cs_str pieces[] = {{"a", 1}, {"", 0},      {"bc", 2}, {"defghijklmnopqrstuvwxyz", 23},
                                {"", 0},  {"0\r\n", 3}, {"end", 3}};
#define RAW "abcdefghijklmnopqrstuvwxyz0\r\nend"
#define CHUNKED                                                                                    \
    "1\r\na\r\n2\r\nbc\r\n17\r\ndefghijklmnopqrstuvwxyz\r\n3\r\n0\r\n\r\n3\r\nend\r\n0\r\n\r\n"

static void send_pieces(struct client *c, bool end_apart)
{
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        bool last = !end_apart && i + 1 == ARRAY_LEN(pieces);
        assert_int_equal(exchange_send(&c->x, pieces[i], last), CS_OK);
    }
    if (end_apart)
        assert_int_equal(exchange_send(&c->x, (cs_str){0}, true), CS_OK);
}

/* However little the kernel takes at once, and whether or not there is a connection yet. */
static void pieces_arrive_whole(void **state)
{
    (void)state;
    static const size_t mosts[] = {1, 2, 3, 7, 20, SIZE_MAX};
    for (int way = 0; way < 8; way++) {
        bool chunked = way & 1, end_apart = way & 2, early = way & 4;
        for (size_t i = 0; i < ARRAY_LEN(mosts); i++) {
            struct client *c = post(chunked);
            int peer;
            most = mosts[i];
            if (early)
                send_pieces(c, end_apart);
            peer = server_accept(server);
            if (!early) {
                settle();
                send_pieces(c, end_apart);
            }
            hear_z(peer, POST_HEAD);
            hear_z(peer, chunked ? CHUNKED : RAW);
            assert_true(hears_nothing(peer));
            most = SIZE_MAX;
            say_z(peer, NOBODY_TAKE);
            is_answered(c, 204, "");
            assert_int_equal(counted(UPSTREAM_IDLE), 1); /* kept, then it ends */
            fd_close(&peer);
            settle();
        }
    }
}

#define PIECE 50000

/* Sends until it is told to wait; returns how much. */
static size_t fill(struct client *c, const char *body, size_t at, size_t n)
{
    int rc = CS_OK;
    while (rc == CS_OK && at < n) {
        size_t some = n - at < PIECE ? n - at : PIECE;
        rc = exchange_send(&c->x, (cs_str){body + at, some}, at + some == n);
        assert_true(rc == CS_OK || rc == CS_AGAIN);
        at += some;
        size_t waits = c->x.queue.n - c->x.queue_off;
        assert_int_equal(rc == CS_AGAIN, at < n && waits > EXCHANGE_QUEUE_MAX);
        assert_true(waits <= EXCHANGE_QUEUE_MAX + PIECE + 32);
        assert_true(c->x.queue.cap <= 4 * EXCHANGE_QUEUE_MAX);
    }
    return at;
}

static void a_slow_server_makes_the_sender_wait(void **state)
{
    (void)state;
    for (int chunked = 0; chunked < 2; chunked++) {
        size_t n = 16 * MIB, at = 0;
        char *body = bytes_new(n);
        struct buf got = {0}, plain = {0};
        struct client *c = post(chunked);
        int peer = server_accept(server);
        hear_z(peer, POST_HEAD);
        at = fill(c, body, at, n);
        assert_true(at < n);
        assert_true(loop_rests());
        assert_int_equal(c->drains, 0);
        for (int before = 0; at < n || hear_what_is_there(peer, &got);) {
            hear_what_is_there(peer, &got);
            turn(0);
            if (c->drains > before && at < n) {
                assert_int_equal(c->x.queue.n, 0);
                before = c->drains;
                at = fill(c, body, at, n);
            }
            settle();
        }
        assert_true(c->drains > 2);
        struct http_chunked decoder = {0};
        for (size_t off = 0, used; chunked && off < got.n; off += used) {
            cs_str data;
            assert_true(http_chunked_next(&decoder, got.p + off, got.n - off, &used, &data) >= 0);
            buf_add_str(&plain, data);
            if (!used)
                break;
        }
        assert_int_equal(chunked ? plain.n : got.n, n);
        assert_memory_equal(chunked ? plain.p : got.p, body, n);
        say_z(peer, NOBODY_TAKE);
        is_answered(c, 204, "");
        fd_close(&peer);
        settle();
        free(body);
        buf_free(&got);
        buf_free(&plain);
    }
}

/* A body that was there from the beginning is borrowed, not copied. */
static void a_whole_body_is_not_copied(void **state)
{
    (void)state;
    size_t n = 8 * MIB;
    char *body = bytes_new(n);
    struct buf got = {0};
    struct client *c = client_new();
    c->opts.head = CS_S(POST_HEAD);
    c->opts.body = (cs_str){body, n};
    exchange_start(&c->x, &c->opts);
    int peer = server_accept(server);
    hear_z(peer, POST_HEAD);
    while (got.n < n) {
        hear_what_is_there(peer, &got);
        turn(0);
        assert_int_equal(c->x.queue.cap, 0);
    }
    assert_memory_equal(got.p, body, n);
    say_z(peer, NOBODY_TAKE);
    is_answered(c, 204, "");
    assert_int_equal(counted(UPSTREAM_IDLE), 1);
    free(body);
    buf_free(&got);
    fd_close(&peer);
}

static void an_upload_has_to_move(void **state)
{
    (void)state;
    size_t n = 48 * MIB;
    char *body = calloc(1, n);
    struct buf got = {0};
    struct client *c = client_new();
    c->opts.head = CS_S(POST_HEAD);
    c->opts.body = (cs_str){body, n};
    c->opts.head_ms = 10;
    c->opts.idle_ms = 1000;
    exchange_start(&c->x, &c->opts);
    int peer = server_accept(server);
    settle();
    for (int i = 0; i < 3; i++) { /* so much that the window opens */
        advance(999);
        for (size_t before = got.n; got.n < before + 4 * MIB;) {
            hear_what_is_there(peer, &got);
            turn(0);
        }
        settle();
    }
    advance(999);
    assert_int_equal(c->overs, 0);
    advance(1);
    is_over(c, EXCHANGE_TIMEOUT, at_server("%s: nothing moved for 1000 ms"));
    free(body);
    buf_free(&got);
    fd_close(&peer);
}

/* The time of who sends is not the server's; then that for the head begins. */
static void who_has_not_sent_has_time(void **state)
{
    (void)state;
    struct client *c = client_new();
    c->opts.head = CS_S(POST_HEAD);
    c->opts.body_follows = true;
    c->opts.head_ms = 100;
    c->opts.idle_ms = 100;
    exchange_start(&c->x, &c->opts);
    int peer = server_accept(server);
    hear_z(peer, POST_HEAD);
    settle();
    for (int i = 0; i < 3; i++) {
        advance(5000);
        assert_int_equal(exchange_send(&c->x, CS_S("x"), false), CS_OK);
        settle();
    }
    advance(5000);
    assert_int_equal(exchange_send(&c->x, CS_S("x"), true), CS_OK);
    settle();
    advance(99);
    assert_int_equal(c->overs, 0);
    advance(1);
    is_over(c, EXCHANGE_TIMEOUT, at_server("%s: no answer within 100 ms"));
    fd_close(&peer);
}

/* ---- Answers before the request is whole ---- */

#define TOO_LARGE "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch"

static void an_early_answer_is_the_end(void **state)
{
    (void)state;
    struct client *c = post(true);
    int peer = server_accept(server);
    assert_int_equal(exchange_send(&c->x, CS_S("abc"), false), CS_OK);
    hear_z(peer, POST_HEAD "3\r\nabc\r\n");
    say_z(peer, TOO_LARGE);
    UNTIL(c->overs);
    assert_int_equal(exchange_send(&c->x, CS_S("def"), true), CS_CLOSED);
    is_answered(c, 413, "much");
    assert_int_equal(counted(UPSTREAM_OPEN), 0);
    hear_end(peer);
    fd_close(&peer);
}

/* The server closes behind its answer, while there is much that it has not read: a reset. Once the sender learns of it
 * first, once the reader. */
static void an_answer_is_read_though_sending_fails(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        char piece[PIECE] = {0};
        struct client *c = post(true);
        int rc = CS_OK, peer = server_accept(server);
        while (rc == CS_OK)
            rc = exchange_send(&c->x, (cs_str){piece, sizeof piece}, false);
        assert_int_equal(rc, CS_AGAIN);
        settle();
        say_z(peer, TOO_LARGE);
        if (way == 0)
            settle();
        else
            fail_with = EPIPE;
        fd_close(&peer);
        is_answered(c, 413, "much");
        fail_with = 0;
        assert_int_equal(counted(UPSTREAM_OPEN), 0);
    }
}

/* exchange_send itself meets the failure. */
static void a_failure_while_sending_is_told(void **state)
{
    (void)state;
    struct client *c = post(true);
    int peer = server_accept(server);
    hear_z(peer, POST_HEAD);
    settle();
    fail_with = EPIPE;
    assert_int_equal(exchange_send(&c->x, CS_S("abc"), false), CS_CLOSED);
    assert_int_equal(exchange_send(&c->x, CS_S("def"), true), CS_CLOSED);
    assert_int_equal(c->overs, 0);
    say_z(peer, TOO_LARGE);
    is_answered(c, 413, "much");
    fd_close(&peer);

    c = post(true);
    peer = server_accept(server);
    hear_z(peer, POST_HEAD);
    settle();
    fail_with = EPIPE;
    assert_int_equal(exchange_send(&c->x, CS_S("abc"), false), CS_CLOSED);
    fd_close(&peer);
    is_over(c, EXCHANGE_BROKEN, at_server("%s: Broken pipe"));
}

/* Who waits for on_drain learns that nobody takes more, though the answer is not read at the moment. */
static void who_waits_to_send_is_not_forgotten(void **state)
{
    (void)state;
    char piece[PIECE] = {0};
    struct client *c = post(true);
    int rc = CS_OK, peer = server_accept(server);
    c->pause = true;
    say_z(peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    UNTIL(c->refused);
    while (rc == CS_OK)
        rc = exchange_send(&c->x, (cs_str){piece, sizeof piece}, false);
    assert_int_equal(rc, CS_AGAIN);
    settle();
    reset(&peer);
    UNTIL(c->drains);
    assert_int_equal(exchange_send(&c->x, CS_S("x"), true), CS_CLOSED);
    assert_true(loop_rests());
    assert_int_equal(c->overs, 0);
    c->pause = false;
    exchange_resume(&c->x);
    UNTIL(c->overs);
    assert_string_equal(c->body.p, "abc");
    assert_int_equal(c->result, EXCHANGE_BROKEN);
    assert_int_equal(c->drains, 1);
    client_free(c);
}

/* Both bodies go at once. */
static void a_server_may_answer_as_it_reads(void **state)
{
    (void)state;
    struct client *c = post(true);
    int peer = server_accept(server);
    hear_z(peer, POST_HEAD);
    say_z(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    UNTIL(c->heads);
    for (size_t i = 1; i <= 5; i++) {
        assert_int_equal(exchange_send(&c->x, CS_S("ping"), i == 5), CS_OK);
        hear_z(peer, "4\r\nping\r\n");
        say_z(peer, "4\r\npong\r\n");
        UNTIL(c->body.n == 4 * i);
    }
    hear_z(peer, "0\r\n\r\n");
    say_z(peer, "0\r\n\r\n");
    is_answered(c, 200, "pongpongpongpongpong");
    assert_int_equal(counted(UPSTREAM_IDLE), 1);
    fd_close(&peer);
}

/* ---- Failures before the first byte, and the price ---- */

/* What has been queued goes over the new connection, and who was told to wait waits for that. */
static void a_post_of_which_nothing_was_sent_is_repeated(void **state)
{
    (void)state;
    size_t n = EXCHANGE_QUEUE_MAX + 1;
    char *body = bytes_new(n);
    int old = kept_connection();
    struct client *c = post(false);
    assert_int_equal(exchange_send(&c->x, (cs_str){body, n}, false), CS_AGAIN);
    fail_with = ECONNRESET; /* behind the peek, which sees nothing wrong */
    turn(0);
    assert_int_equal(fail_with, 0);
    assert_int_equal(c->drains, 0);
    assert_int_equal(exchange_send(&c->x, CS_S("def"), false), CS_AGAIN);
    fd_close(&old);
    int peer = server_accept(server);
    hear_z(peer, POST_HEAD);
    hear(peer, body, n);
    hear_z(peer, "def");
    UNTIL(c->drains);
    assert_int_equal(exchange_send(&c->x, CS_S("ghi"), true), CS_OK);
    hear_z(peer, "ghi");
    say_z(peer, NOBODY_TAKE);
    is_answered(c, 204, "");
    assert_int_equal(counted(UPSTREAM_REPEATED), 1);
    free(body);
    fd_close(&peer);
}

static void a_request_takes_few_calls(void **state)
{
    (void)state;
    int peer = kept_connection();
    struct client *c = client_new();
    c->opts.head = CS_S(POST_HEAD);
    c->opts.body = CS_S("body");
    c->opts.head_ms = c->opts.idle_ms = 1000;
    settle();
    sends = recvs = ctls = 0;
    exchange_start(&c->x, &c->opts);
    turn(0);
    assert_int_equal(sends, 1); /* head and body together */
    assert_int_equal(recvs, 1); /* the peek */
    say_z(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    while (!c->overs)
        turn(5);
    assert_int_equal(sends, 1);
    assert_int_equal(recvs, 2);
    assert_int_equal(ctls, 0);
    hear_z(peer, POST_HEAD "body");
    is_answered(c, 200, "ok");
    fd_close(&peer);
}

/* Who waits for an answer, or for the rest of it, holds no room. */
static void who_waits_holds_no_room(void **state)
{
    (void)state;
    struct client *c = get();
    int peer = accept_request(c);
    settle();
    assert_null(c->x.room);
    say_z(peer, "HTTP/1.1 103 Early Hints\r\n\r\n");
    settle();
    assert_null(c->x.room);
    say_z(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    UNTIL(c->body.n == 3);
    assert_null(c->x.room);
    say_z(peer, "lo");
    is_answered(c, 200, "hello");
    fd_close(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slow_receiver_costs_no_memory),
        TEST(a_resume_is_not_lost),
        TEST(an_end_in_a_pause_is_seen_afterwards),
        TEST(resuming_what_does_not_rest_does_nothing),
        TEST(pieces_arrive_whole),
        TEST(a_slow_server_makes_the_sender_wait),
        TEST(a_whole_body_is_not_copied),
        TEST(an_upload_has_to_move),
        TEST(who_has_not_sent_has_time),
        TEST(an_early_answer_is_the_end),
        TEST(an_answer_is_read_though_sending_fails),
        TEST(a_failure_while_sending_is_told),
        TEST(who_waits_to_send_is_not_forgotten),
        TEST(a_server_may_answer_as_it_reads),
        TEST(a_post_of_which_nothing_was_sent_is_repeated),
        TEST(a_request_takes_few_calls),
        TEST(who_waits_holds_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
