/* exchange_test.c - one request and its answer: what is kept and used again, what is repeated, the time limits, and answers
 * that are cut, broken or no answers. */
#include "exchange_fake.h"

#define OK_5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

/* ---- Kept connections ---- */

static void a_connection_is_used_again(void **state)
{
    (void)state;
    int peer = kept_connection();
    for (int i = 0; i < 3; i++) {
        struct client *c = get();
        hear(peer, c->opts.head.p, c->opts.head.n);
        say_z(peer, OK_5 "hello");
        is_answered(c, 200, "hello");
    }
    assert_true(nobody_comes(server));
    assert_int_equal(counted(UPSTREAM_STARTED), 4);
    assert_int_equal(counted(UPSTREAM_CONNECTED), 1);
    assert_int_equal(counted(UPSTREAM_REUSED), 3);
    assert_int_equal(counted(UPSTREAM_REPEATED), 0);
    assert_int_equal(counted(UPSTREAM_IDLE), 1);
    fd_close(&peer);
}

static void two_at_once_have_two(void **state)
{
    (void)state;
    struct client *a = get(), *b = get();
    int for_a = accept_request(a), for_b = accept_request(b);
    say_z(for_a, NOBODY_TAKE);
    say_z(for_b, NOBODY_TAKE);
    is_answered(a, 204, "");
    is_answered(b, 204, "");
    assert_int_equal(counted(UPSTREAM_IDLE), 2);
    fd_close(&for_a);
    fd_close(&for_b);
}

static void not_every_connection_is_kept(void **state)
{
    (void)state;
    static const char *const answers[][2] = {
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "hello"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
        {OK_5 "hello!", "hello"},
        {OK_5 "helloHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "hello"},
        {"HTTP/1.1 204 No Content\r\n\r\nx", ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n0", "hi"},
    };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct client *c = get();
        int peer = accept_request(c), status = answers[i][1][0] ? 200 : 204;
        say_z(peer, answers[i][0]);
        is_answered(c, status, answers[i][1]);
        assert_int_equal(counted(UPSTREAM_OPEN), 0);
        hear_end(peer);
        fd_close(&peer);
    }
}

/* HTTP/1.0 can say so. */
static void an_old_server_may_keep_it(void **state)
{
    (void)state;
    struct client *c = get();
    int peer = accept_request(c);
    say_z(peer, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi");
    is_answered(c, 200, "hi");
    assert_int_equal(counted(UPSTREAM_IDLE), 1);
    fd_close(&peer);
}

/* The answer is read to the end of the connection. */
static void a_body_may_end_with_the_connection(void **state)
{
    (void)state;
    struct client *c = get();
    int peer = accept_request(c);
    say_z(peer, "HTTP/1.1 200 OK\r\n\r\nhello, ");
    UNTIL(c->body.n == 7);
    say_z(peer, "world");
    settle();
    assert_int_equal(c->overs, 0);
    fd_close(&peer);
    is_answered(c, 200, "hello, world");
    assert_int_equal(counted(UPSTREAM_OPEN), 0);
}

/* ---- Requests that are repeated ---- */

/* The connection ends when the request has been sent already. */
static void a_get_is_repeated_once(void **state)
{
    (void)state;
    int peer = kept_connection();
    struct client *c = get();
    hear(peer, c->opts.head.p, c->opts.head.n);
    fd_close(&peer);
    peer = accept_request(c);
    assert_int_equal(c->overs, 0);
    assert_int_equal(counted(UPSTREAM_REPEATED), 1);
    say_z(peer, OK_5 "hello");
    is_answered(c, 200, "hello");

    c = get();
    hear(peer, c->opts.head.p, c->opts.head.n);
    reset(&peer);
    peer = accept_request(c);
    fd_close(&peer); /* a second time is one too many */
    is_over(c, EXCHANGE_BROKEN, at_server("%s: the connection ended without an answer"));
    assert_true(nobody_comes(server));
    assert_int_equal(counted(UPSTREAM_REPEATED), 2);
    assert_int_equal(counted(UPSTREAM_BROKEN), 1);
}

/* With its body, from its beginning. */
static void a_put_is_repeated_whole(void **state)
{
    (void)state;
    int peer = kept_connection();
    struct client *c = client_new();
    c->opts.head = CS_S("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\n");
    c->opts.body = CS_S("body");
    exchange_start(&c->x, &c->opts);
    hear(peer, c->opts.head.p, c->opts.head.n);
    hear_z(peer, "body");
    fd_close(&peer);
    peer = accept_request(c);
    hear_z(peer, "body");
    say_z(peer, NOBODY_TAKE);
    is_answered(c, 204, "");
    fd_close(&peer);
}

static void a_post_is_not_repeated(void **state)
{
    (void)state;
    int peer = kept_connection();
    struct client *c = client_new();
    c->opts.repeatable = false;
    exchange_start(&c->x, &c->opts);
    hear(peer, c->opts.head.p, c->opts.head.n);
    fd_close(&peer);
    is_over(c, EXCHANGE_BROKEN, at_server("%s: the connection ended without an answer"));
    assert_true(nobody_comes(server));

    peer = kept_connection();
    c = post(true);
    hear_z(peer, POST_HEAD);
    fd_close(&peer);
    is_over(c, EXCHANGE_BROKEN, at_server("%s: the connection ended without an answer"));
    assert_true(nobody_comes(server));
    assert_int_equal(counted(UPSTREAM_REPEATED), 0);
}

/* The server has closed before anything was sent, and the kernel knows it: nobody need be asked whether it may be repeated. */
static void a_post_avoids_what_has_ended(void **state)
{
    (void)state;
    int peer = kept_connection();
    struct client *c = post(true);
    fd_close(&peer);
    assert_int_equal(exchange_send(&c->x, CS_S("abc"), true), CS_OK);
    peer = server_accept(server);
    hear_z(peer, POST_HEAD "3\r\nabc\r\n0\r\n\r\n");
    say_z(peer, NOBODY_TAKE);
    is_answered(c, 204, "");
    assert_int_equal(counted(UPSTREAM_REPEATED), 0);
    fd_close(&peer);
}

static void nothing_is_repeated_behind_a_byte_of_answer(void **state)
{
    (void)state;
    int peer = kept_connection();
    struct client *c = get();
    hear(peer, c->opts.head.p, c->opts.head.n);
    say_z(peer, "H");
    settle();
    fd_close(&peer);
    is_over(c, EXCHANGE_BROKEN, at_server("%s: the connection ended before the answer was whole"));
    assert_true(nobody_comes(server));
}

/* A new connection that ends has not grown old: nothing says that another one would do better. */
static void a_new_connection_is_not_tried_again(void **state)
{
    (void)state;
    struct client *c = get();
    int peer = accept_request(c);
    fd_close(&peer);
    is_over(c, EXCHANGE_BROKEN, at_server("%s: the connection ended without an answer"));
    assert_true(nobody_comes(server));
}

/* ---- Names and connecting ---- */

static void the_second_address_does(void **state)
{
    (void)state;
    uint16_t refuses;
    int closed = server_new(-1, &refuses);
    fake_found.n = 0;
    fake_add(refuses);
    fake_add(port);
    struct client *c = get();
    int peer = accept_request(c);
    say_z(peer, NOBODY_TAKE);
    is_answered(c, 204, "");
    assert_int_equal(counted(UPSTREAM_CONNECTED), 1);
    fd_close(&peer);
    fd_close(&closed);
}

static void nobody_listens(void **state)
{
    (void)state;
    uint16_t refuses;
    char expected[DIAL_WHY_SIZE];
    int closed = server_new(-1, &refuses);
    fake_found.n = 0;
    fake_add(refuses);
    snprintf(expected, sizeof expected, "127.0.0.1:%u: Connection refused", refuses);
    is_over(get(), EXCHANGE_NO_CONNECT, expected);
    assert_int_equal(counted(UPSTREAM_NO_CONNECT), 1);
    fd_close(&closed);
}

static void there_is_no_such_host(void **state)
{
    (void)state;
    fake_found = (struct names_found){.error = HOST_NONE, .text = "there is no such host"};
    is_over(get(), EXCHANGE_NO_NAME, at_server("%s: there is no such host"));
    fake_later = true;
    struct client *c = get();
    settle();
    assert_int_equal(c->overs, 0);
    fake_tell();
    is_over(c, EXCHANGE_NO_NAME, at_server("%s: there is no such host"));
    assert_int_equal(counted(UPSTREAM_NO_NAME), 2);
}

static void a_name_takes_its_time(void **state)
{
    (void)state;
    fake_later = true;
    struct client *c = get();
    UNTIL(fake_waits);
    assert_int_equal(fake_waits->port, port);
    fake_tell();
    int peer = accept_request(c);
    say_z(peer, NOBODY_TAKE);
    is_answered(c, 204, "");
    assert_int_equal(fake_asked, 1);
    fd_close(&peer);
}

static void an_address_has_brackets_in_what_is_told(void **state)
{
    (void)state;
    char expected[DIAL_WHY_SIZE];
    struct client *c = client_new();
    c->opts.host = CS_S("2001:db8::1");
    exchange_start(&c->x, &c->opts);
    int peer = accept_request(c);
    fd_close(&peer);
    snprintf(expected, sizeof expected, "[2001:db8::1]:%u: the connection ended without an answer",
             port);
    is_over(c, EXCHANGE_BROKEN, expected);
}

/* ---- Time limits ---- */

static void connecting_has_a_limit(void **state)
{
    (void)state;
    char expected[DIAL_WHY_SIZE];
    struct silent s;
    struct client *c = client_new();
    silent_open(&s);
    fake_found.n = 0;
    fake_add(s.port);
    c->opts.connect_ms = 3000;
    exchange_start(&c->x, &c->opts);
    settle();
    advance(2999);
    assert_int_equal(c->overs, 0);
    advance(1);
    snprintf(expected, sizeof expected, "127.0.0.1:%u: no answer", s.port);
    is_over(c, EXCHANGE_TIMEOUT, expected);
    silent_close(&s);
}

/* One limit for both. */
static void the_name_is_part_of_connecting(void **state)
{
    (void)state;
    struct silent s;
    struct client *c = client_new(), *d = client_new();
    silent_open(&s);
    fake_found.n = 0;
    fake_add(s.port);
    fake_later = true;
    c->opts.connect_ms = d->opts.connect_ms = 3000;
    exchange_start(&c->x, &c->opts);
    settle();
    advance(2999);
    assert_int_equal(c->overs, 0);
    advance(1);
    is_over(c, EXCHANGE_TIMEOUT, at_server("%s: its address was not found within 3000 ms"));
    assert_null(fake_waits);

    exchange_start(&d->x, &d->opts);
    settle();
    advance(2000);
    fake_tell();
    settle();
    advance(999);
    assert_int_equal(d->overs, 0);
    advance(1);
    assert_int_equal(d->overs, 1);
    assert_int_equal(d->result, EXCHANGE_TIMEOUT);
    client_free(d);
    assert_int_equal(counted(UPSTREAM_TIMEOUT), 2);
    silent_close(&s);
}

static void the_head_has_a_limit(void **state)
{
    (void)state;
    struct client *c = client_new();
    c->opts.head_ms = 5000;
    exchange_start(&c->x, &c->opts);
    int peer = accept_request(c);
    settle();
    advance(4000);
    say_z(peer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2"); /* no more time for that */
    settle();
    advance(999);
    assert_int_equal(c->overs, 0);
    advance(1);
    is_over(c, EXCHANGE_TIMEOUT, at_server("%s: no answer within 5000 ms"));
    hear_end(peer);
    fd_close(&peer);
}

/* It is no reason to send the request again, over a kept connection neither. */
static void what_is_late_is_not_repeated(void **state)
{
    (void)state;
    int peer = kept_connection();
    struct client *c = client_new();
    c->opts.head_ms = 100;
    exchange_start(&c->x, &c->opts);
    hear(peer, c->opts.head.p, c->opts.head.n);
    advance(100);
    is_over(c, EXCHANGE_TIMEOUT, at_server("%s: no answer within 100 ms"));
    assert_true(nobody_comes(server));
    fd_close(&peer);
}

static void a_body_has_to_move(void **state)
{
    (void)state;
    struct client *c = client_new();
    c->opts.head_ms = 100;
    c->opts.idle_ms = 1000;
    exchange_start(&c->x, &c->opts);
    int peer = accept_request(c);
    say_z(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    UNTIL(c->heads);
    for (size_t i = 0; i < 4; i++) {
        advance(999);
        say_z(peer, "x");
        UNTIL(c->body.n == i + 1);
    }
    advance(999);
    assert_int_equal(c->overs, 0);
    advance(1);
    is_over(c, EXCHANGE_TIMEOUT, at_server("%s: nothing moved for 1000 ms"));
    fd_close(&peer);
}

/* Nobody counts the time in which this side is waited for. */
static void who_pauses_has_time(void **state)
{
    (void)state;
    struct client *c = client_new();
    c->opts.idle_ms = 1000;
    c->pause = true;
    exchange_start(&c->x, &c->opts);
    int peer = accept_request(c);
    say_z(peer, OK_5 "hel");
    UNTIL(c->refused);
    settle();
    advance(60000);
    settle();
    assert_int_equal(c->overs, 0);
    c->pause = false;
    exchange_resume(&c->x);
    assert_int_equal(c->body.n, 0); /* never inside a call */
    UNTIL(c->body.n == 3);
    advance(999);
    assert_int_equal(c->overs, 0);
    advance(1);
    is_over(c, EXCHANGE_TIMEOUT, at_server("%s: nothing moved for 1000 ms"));
    fd_close(&peer);
}

/* ---- Answers ---- */

struct answer {
    const char *bytes;
    int status;
    const char *body;
    bool to_head, to_end;
};

static const struct answer answers[] = {
    {OK_5 "hello", 200, "hello", false, false},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "", false, false},
    {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: "
     "v\r\n\r\n",
     200, "abc0123456789", false, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "", true, false},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "", false, false},
    {NOBODY_TAKE, 204, "", false, false},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" OK_5 "hello",
     200, "hello", false, false},
    {"HTTP/1.0 200 OK\r\nX: y\r\n\r\nto the end", 200, "to the end", false, true},
};

static struct client *ask_for(const struct answer *a, int *peer)
{
    struct client *c = get_over(peer);
    c->x.opts.to_head = a->to_head;
    return c;
}

static void answers_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        const struct answer *a = &answers[i];
        size_t n = strlen(a->bytes);
        for (size_t cut = 0; cut <= n; cut++) {
            int peer;
            struct client *c = ask_for(a, &peer);
            say(peer, a->bytes, cut);
            turn(0);
            say(peer, a->bytes + cut, n - cut);
            if (a->to_end)
                fd_close(&peer);
            is_answered(c, a->status, a->body);
            fd_close(&peer);
        }
    }
}

static void answers_may_come_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        const struct answer *a = &answers[i];
        int peer;
        struct client *c = ask_for(a, &peer);
        for (const char *p = a->bytes; *p; p++) {
            assert_int_equal(c->overs, 0);
            say(peer, p, 1);
            turn(0);
        }
        if (a->to_end)
            fd_close(&peer);
        is_answered(c, a->status, a->body);
        fd_close(&peer);
    }
}

/* An answer of which anything is missing is never taken for whole. */
static void what_is_missing_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        const struct answer *a = &answers[i];
        size_t n =
            a->to_end ? (size_t)(strstr(a->bytes, "\r\n\r\n") + 4 - a->bytes) : strlen(a->bytes);
        for (size_t cut = 0; cut < n; cut++) {
            int peer;
            struct client *c = ask_for(a, &peer);
            say(peer, a->bytes, cut);
            fd_close(&peer);
            is_over(c, EXCHANGE_BROKEN,
                    cut > 0 ? "the connection ended before the answer was whole"
                            : "the connection ended without an answer");
        }
    }
}

/* Not even one that ends with the connection. */
static void a_reset_is_no_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        const struct answer *a = &answers[i];
        size_t n = strlen(a->bytes);
        for (size_t cut = 0; cut < n + a->to_end; cut += cut + 3 < n ? 3 : 1) {
            struct client *c = client_new();
            c->opts.to_head = a->to_head;
            exchange_start(&c->x, &c->opts);
            int peer = accept_request(c);
            say(peer, a->bytes, cut);
            settle();
            reset(&peer);
            is_over(c, EXCHANGE_BROKEN, at_server("%s: Connection reset by peer"));
        }
    }
}

static void the_head_stays_until_the_end(void **state)
{
    (void)state;
    struct client *c = get();
    int peer = accept_request(c);
    say_z(peer,
          "HTTP/1.1 200 Well done\r\nContent-Length: 40000\r\nX-One: first\r\nEmpty:\r\n\r\n");
    for (int i = 0; i < 40; i++) {
        char piece[1000];
        memset(piece, 'a' + i % 26, sizeof piece);
        say(peer, piece, sizeof piece);
        settle();
    }
    UNTIL(c->overs);
    assert_int_equal(c->body.n, 40000);
    assert_string_equal(c->fields.p, "Content-Length=40000;X-One=first;Empty=;");
    client_free(c);
    fd_close(&peer);
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const char *const garbage[] = {
        "\n",
        "HTTP/2 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "\x16\x03\x01\x02",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        struct client *c = get();
        int peer = accept_request(c);
        say_z(peer, garbage[i]);
        UNTIL(c->overs);
        assert_int_equal(c->result, EXCHANGE_BAD);
        assert_true(strlen(c->why) > strlen(at_server("%s: ")));
        hear_end(peer);
        client_free(c);
        fd_close(&peer);
    }
    assert_int_equal(counted(UPSTREAM_BAD), ARRAY_LEN(garbage));
    assert_int_equal(counted(UPSTREAM_OPEN), 0);
}

static void interim_answers_are_few(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        int peer;
        struct client *c = get_over(&peer);
        for (int i = 0; i < EXCHANGE_INTERIM_MAX + more; i++)
            say_z(peer, "HTTP/1.1 103 Early Hints\r\n\r\n");
        say_z(peer, NOBODY_TAKE);
        if (more)
            is_over(c, EXCHANGE_BAD, "too many interim answers");
        else
            is_answered(c, 204, "");
        fd_close(&peer);
    }
}

/* A head of so many bytes, after an interim answer that has moved its beginning. */
static void say_head(int peer, size_t n)
{
    static const char begin[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: ", end[] = "\r\n\r\n";
    size_t filler = n - (sizeof begin - 1) - (sizeof end - 1);
    char *p = malloc(filler);
    memset(p, 'x', filler);
    say_z(peer, "HTTP/1.1 100 Continue\r\n\r\n");
    say_z(peer, begin);
    say(peer, p, filler);
    say_z(peer, end);
    say_z(peer, "hello");
    free(p);
}

static void a_head_has_a_size(void **state)
{
    (void)state;
    static const struct {
        size_t max, n;
        bool fits;
    } rows[] = {{0, ROOM_SIZE, true}, {0, ROOM_SIZE + 1, false},    {100, 100, true},
                {100, 101, false},    {50000, 50000, true},         {50000, 50001, false},
                {20000, 16390, true}, {40000, ROOM_SIZE * 2, true}, {1 << 20, 600000, true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client *c = client_new();
        int pair[2];
        assert_int_equal(fd_pair(SOCK_STREAM, pair), 0);
        c->opts.fd = pair[0];
        c->opts.host = (cs_str){0};
        c->opts.max_head = rows[i].max;
        exchange_start(&c->x, &c->opts);
        if (rows[i].n < 400000 || rows[i].fits)
            say_head(pair[1], rows[i].n);
        if (rows[i].fits)
            is_answered(c, 200, "hello");
        else
            is_over(c, EXCHANGE_BAD, "the head is too long");
        fd_close(&pair[1]);
    }
}

/* Starting again where it ended, as who follows a redirect does. */
static int again;

static void start_again(struct exchange *x, enum exchange_result result)
{
    struct client *c = client_of(x);
    if (again-- == 0) {
        on_over(x, result);
        return;
    }
    c->heads = 0;
    exchange_drop(x); /* no harm */
    exchange_start(x, &c->opts);
}

static void it_may_begin_again_where_it_ended(void **state)
{
    (void)state;
    struct client *c = client_new();
    again = 2;
    c->x.on_over = start_again;
    exchange_start(&c->x, &c->opts);
    int peer = accept_request(c);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            hear(peer, c->opts.head.p, c->opts.head.n);
        say_z(peer, OK_5 "hello");
    }
    is_answered(c, 200, "hellohellohello");
    assert_int_equal(counted(UPSTREAM_REUSED), 2);
    fd_close(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_used_again),
        TEST(two_at_once_have_two),
        TEST(not_every_connection_is_kept),
        TEST(an_old_server_may_keep_it),
        TEST(a_body_may_end_with_the_connection),
        TEST(a_get_is_repeated_once),
        TEST(a_put_is_repeated_whole),
        TEST(a_post_is_not_repeated),
        TEST(a_post_avoids_what_has_ended),
        TEST(nothing_is_repeated_behind_a_byte_of_answer),
        TEST(a_new_connection_is_not_tried_again),
        TEST(the_second_address_does),
        TEST(nobody_listens),
        TEST(there_is_no_such_host),
        TEST(a_name_takes_its_time),
        TEST(an_address_has_brackets_in_what_is_told),
        TEST(connecting_has_a_limit),
        TEST(the_name_is_part_of_connecting),
        TEST(the_head_has_a_limit),
        TEST(what_is_late_is_not_repeated),
        TEST(a_body_has_to_move),
        TEST(who_pauses_has_time),
        TEST(answers_may_be_cut_anywhere),
        TEST(answers_may_come_byte_by_byte),
        TEST(what_is_missing_is_told),
        TEST(a_reset_is_no_end),
        TEST(the_head_stays_until_the_end),
        TEST(what_is_no_answer_is_refused),
        TEST(interim_answers_are_few),
        TEST(a_head_has_a_size),
        TEST(it_may_begin_again_where_it_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
