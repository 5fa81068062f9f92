/* exchange_fake.h - an exchange that remembers what it was told, and does at each callback what the test has planned. */
#ifndef UNIT_NET_EXCHANGE_FAKE_H
#define UNIT_NET_EXCHANGE_FAKE_H

#define FAKE_NAMES
#include "net/exchange.h"

#include "net_fake.h"

#include "base/buf.h"

static struct upstreams *all;
static unsigned fds_before;
static int server;
static uint16_t port;

enum moment {
    NEVER,
    AT_HEAD,
    AT_DATA,
    AT_DRAIN,
    AT_OVER
};

struct client {
    struct exchange x;
    struct exchange_opts opts;
    int heads, overs, drains, refused;
    int status;
    enum exchange_result result;
    char why[DIAL_WHY_SIZE];
    struct buf fields, body;
    enum moment free_at; /* dropped and freed there */
    bool pause;          /* on_data says CS_AGAIN */
    bool resume_first;   /* and calls exchange_resume before */
    bool *freed;
};

static inline struct client *client_of(struct exchange *x)
{
    return CONTAINER_OF(x, struct client, x);
}

static inline void client_free(struct client *c)
{
    exchange_drop(&c->x);
    buf_free(&c->fields);
    buf_free(&c->body);
    if (c->freed)
        *c->freed = true;
    memset(&c->x, 0x5a, sizeof c->x);
    free(c);
}

static inline bool freed_at(struct client *c, enum moment now)
{
    if (c->free_at != now)
        return false;
    client_free(c);
    return true;
}

static void on_head(struct exchange *x)
{
    struct client *c = client_of(x);
    c->heads++;
    assert_int_equal(c->overs, 0);
    c->status = x->reply.status;
    freed_at(c, AT_HEAD);
}

static int on_data(struct exchange *x, cs_str data)
{
    struct client *c = client_of(x);
    assert_int_equal(c->heads, 1);
    assert_int_equal(c->overs, 0);
    assert_true(data.n > 0);
    if (c->resume_first)
        exchange_resume(x);
    if (c->pause || c->resume_first) {
        c->resume_first = false;
        c->refused++;
        return CS_AGAIN;
    }
    buf_add_str(&c->body, data);
    return freed_at(c, AT_DATA) ? CS_AGAIN : CS_OK;
}

static void on_drain(struct exchange *x)
{
    struct client *c = client_of(x);
    c->drains++;
    freed_at(c, AT_DRAIN);
}

static void on_over(struct exchange *x, enum exchange_result result)
{
    struct client *c = client_of(x);
    c->overs++;
    c->result = result;
    snprintf(c->why, sizeof c->why, "%s", x->why);
    for (size_t i = 0; c->heads && i < x->reply.nheaders; i++) {
        buf_add_str(&c->fields, x->reply.headers[i].name);
        buf_add_char(&c->fields, '=');
        buf_add_str(&c->fields, x->reply.headers[i].value);
        buf_add_char(&c->fields, ';');
    }
    freed_at(c, AT_OVER);
}

static inline struct client *client_new(void)
{
    struct client *c = mem_alloc(sizeof *c);
    c->x.on_head = on_head;
    c->x.on_data = on_data;
    c->x.on_drain = on_drain;
    c->x.on_over = on_over;
    c->opts = (struct exchange_opts){.upstreams = all,
                                     .host = CS_S("a.example"),
                                     .port = port,
                                     .fd = -1,
                                     .head = CS_S("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
                                     .repeatable = true};
    return c;
}

#define POST_HEAD                                                                                  \
    "POST / HTTP/1.1\r\nHost: a.example\r\n\r\n" /* nobody looks at its framing here */
#define NOBODY_TAKE "HTTP/1.1 204 No Content\r\n\r\n"

static inline struct client *get(void)
{
    struct client *c = client_new();
    exchange_start(&c->x, &c->opts);
    return c;
}

/* A request whose body follows. */
static inline struct client *post(bool chunked)
{
    struct client *c = client_new();
    c->opts.head = CS_S(POST_HEAD);
    c->opts.body_follows = true;
    c->opts.chunked = chunked;
    c->opts.repeatable = false;
    exchange_start(&c->x, &c->opts);
    return c;
}

/* Over a socket that is connected already; the other end goes to *peer. */
static inline struct client *get_over(int *peer)
{
    int pair[2];
    struct client *c = client_new();
    assert_int_equal(fd_pair(SOCK_STREAM, pair), 0);
    *peer = pair[1];
    c->opts.fd = pair[0];
    c->opts.host = (cs_str){0};
    exchange_start(&c->x, &c->opts);
    hear(*peer, c->opts.head.p, c->opts.head.n);
    return c;
}

/* It ends so, and is freed. */
static inline void is_over(struct client *c, enum exchange_result result, const char *why)
{
    UNTIL(c->overs);
    settle();
    assert_int_equal(c->overs, 1);
    assert_string_equal(c->why, why);
    assert_int_equal(c->result, result);
    client_free(c);
}

static inline void is_answered(struct client *c, int status, const char *body)
{
    UNTIL(c->overs);
    settle();
    assert_int_equal(c->overs, 1);
    assert_string_equal(c->why, "");
    assert_int_equal(c->result, EXCHANGE_OK);
    assert_int_equal(c->heads, 1);
    assert_int_equal(c->status, status);
    assert_int_equal(c->body.n, strlen(body));
    assert_string_equal(c->body.p ? c->body.p : "", body);
    client_free(c);
}

static inline char *at_server(const char *format)
{
    static char text[256];
    char origin[64];
    snprintf(origin, sizeof origin, "a.example:%u", port);
    snprintf(text, sizeof text, format, origin);
    return text;
}

/* A request arrives on a connection that is made for it; returns the server's end. */
static inline int accept_request(const struct client *c)
{
    int peer = server_accept(server);
    hear(peer, c->opts.head.p, c->opts.head.n);
    return peer;
}

/* A connection that was used once and is kept; returns the server's end. */
static inline int kept_connection(void)
{
    struct client *c = get();
    int peer = accept_request(c);
    say_z(peer, NOBODY_TAKE);
    is_answered(c, 204, "");
    assert_int_equal(all->counts[UPSTREAM_IDLE], 1);
    return peer;
}

static inline int64_t counted(enum upstream_count which)
{
    return all->counts[which];
}

static inline int exchange_set_up(void **state)
{
    (void)state;
    fake_begin();
    clock_freeze();
    fds_before = open_fds();
    server = server_new(64, &port);
    fake_add(port);
    all = upstreams_new(&loop, NULL);
    return 0;
}

/* Each test has ended all that it began. */
static inline int exchange_tear_down(void **state)
{
    (void)state;
    settle();
    assert_int_equal(counted(UPSTREAM_OPEN), counted(UPSTREAM_IDLE));
    upstreams_free(all);
    fd_close(&server);
    assert_null(fake_waits);
    assert_int_equal(open_fds(), fds_before);
    assert_int_equal(loop.timers.count, 0);
    clock_thaw();
    loop_free(&loop);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, exchange_set_up, exchange_tear_down)

#endif
