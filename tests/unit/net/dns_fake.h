/* dns_fake.h - a DNS server in the test's own loop, which counts what it is asked, over UDP and TCP. Its zone:
 *
 *     both.test      2 x A, 1 x AAAA, TTL 60        zero.test, day.test   TTL 0 and a day
 *     alias.test     CNAME (TTL 5) to both.test     four.test             A only
 *     short.corp     for the search domain "corp"   many.test             20 of each: too long for UDP
 *     fail.test      SERVFAIL                       garbage.test          an answer that ends in the middle
 *     silent*.test   nothing                        late.test             when the test says so
 *     nNUMBER.test   A, TTL 60                      everything else       NXDOMAIN */
#ifndef TESTS_DNS_FAKE_H
#define TESTS_DNS_FAKE_H

#include "event/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET     2048
#define TYPE_A     1
#define TYPE_AAAA  28
#define TYPE_CNAME 5

struct packet {
    unsigned char b[PACKET];
    size_t n;
};

struct question {
    char name[256];
    unsigned type;
    size_t end; /* of the question in the packet */
};

struct server {
    struct loop_io udp, tcp;
    int a, aaaa, over_tcp; /* questions */
    char last[256];        /* name of the last one */
    struct packet late[4]; /* questions for late.test */
    struct sockaddr_in late_from[4];
    int nlate;
};

static struct loop loop; /* of the test */

static void put16(struct packet *p, unsigned v)
{
    p->b[p->n++] = (unsigned char)(v >> 8);
    p->b[p->n++] = (unsigned char)v;
}

static void put32(struct packet *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p, v & 0xffff);
}

static void put_name(struct packet *p, const char *name)
{
    while (*name) {
        size_t n = strcspn(name, ".");
        p->b[p->n++] = (unsigned char)n;
        memcpy(p->b + p->n, name, n);
        p->n += n;
        name += n + (name[n] == '.');
    }
    p->b[p->n++] = 0;
}

static void count_answer(struct packet *p)
{
    p->b[7]++;
}

/* owner NULL: the name of the question. */
static void put_record(struct packet *p, const char *owner, unsigned type, uint32_t ttl)
{
    if (owner)
        put_name(p, owner);
    else
        put16(p, 0xc00c);
    put16(p, type);
    put16(p, 1);
    put32(p, ttl);
    count_answer(p);
}

static void put_address(struct packet *p, const char *owner, uint32_t ttl, const char *text)
{
    bool v6 = strchr(text, ':');
    size_t n = v6 ? 16 : 4;
    put_record(p, owner, v6 ? TYPE_AAAA : TYPE_A, ttl);
    put16(p, (unsigned)n);
    assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, p->b + p->n), 1);
    p->n += n;
}

static void put_alias(struct packet *p, uint32_t ttl, const char *to)
{
    put_record(p, NULL, TYPE_CNAME, ttl);
    put16(p, (unsigned)strlen(to) + 2);
    put_name(p, to);
}

static void put_both(struct packet *p, const char *owner, unsigned type, uint32_t ttl)
{
    if (type == TYPE_AAAA) {
        put_address(p, owner, ttl, "2001:db8::1");
    } else {
        put_address(p, owner, ttl, "192.0.2.1");
        put_address(p, owner, ttl, "192.0.2.2");
    }
}

static void put_many(struct packet *p, unsigned type)
{
    for (int i = 0; i < 20; i++) {
        char text[64];
        snprintf(text, sizeof text, type == TYPE_A ? "198.51.100.%d" : "2001:db8:1::%d", i + 1);
        put_address(p, NULL, 60, text);
    }
}

static void put_short(struct packet *p, unsigned type, uint32_t ttl)
{
    if (type == TYPE_A)
        put_address(p, NULL, ttl, "192.0.2.7");
}

static void put_garbage(struct packet *p)
{
    put_address(p, NULL, 60, "192.0.2.1");
    p->n -= 6;
}

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* False: no answer. */
static bool answer(struct packet *p, const struct question *q)
{
    const char *name = q->name;
    p->n = q->end;
    p->b[2] = 0x84; /* answer, authoritative */
    p->b[3] = 0;
    memset(p->b + 6, 0, 6);
    if (begins(name, "silent"))
        return false;
    if (strcmp(name, "both.test") == 0 || strcmp(name, "late.test") == 0)
        put_both(p, NULL, q->type, 60);
    else if (strcmp(name, "alias.test") == 0)
        put_alias(p, 5, "both.test"), put_both(p, "both.test", q->type, 60);
    else if (strcmp(name, "many.test") == 0)
        put_many(p, q->type);
    else if (strcmp(name, "zero.test") == 0)
        put_short(p, q->type, 0);
    else if (strcmp(name, "day.test") == 0)
        put_short(p, q->type, 86400);
    else if (strcmp(name, "four.test") == 0 || strcmp(name, "short.corp") == 0 ||
             (name[0] == 'n' && name[1] >= '0' && name[1] <= '9'))
        put_short(p, q->type, 60);
    else if (strcmp(name, "garbage.test") == 0)
        put_garbage(p);
    else
        p->b[3] = strcmp(name, "fail.test") == 0 ? 2 : 3;
    return true;
}

static void read_question(const struct packet *p, struct question *q)
{
    size_t at = 12, n = 0;
    while (p->b[at]) {
        size_t len = p->b[at];
        assert_true(at + len + 6 <= p->n && n + len + 2 < sizeof q->name);
        memcpy(q->name + n, p->b + at + 1, len);
        n += len;
        q->name[n++] = '.';
        at += len + 1;
    }
    q->name[n ? n - 1 : 0] = '\0';
    q->type = (unsigned)p->b[at + 1] << 8 | p->b[at + 2];
    q->end = at + 5;
}

static void count_question(struct server *s, const struct question *q)
{
    s->a += q->type == TYPE_A;
    s->aaaa += q->type == TYPE_AAAA;
    strcpy(s->last, q->name);
}

/* More than a datagram holds is cut, as RFC 1035 has it. */
static void send_udp(struct server *s, struct packet *p, const struct question *q,
                     const struct sockaddr_in *to)
{
    if (!answer(p, q))
        return;
    if (p->n > 512) {
        p->b[2] |= 2;
        p->n = q->end;
        p->b[7] = 0;
    }
    assert_int_equal(sendto(s->udp.fd, p->b, p->n, 0, (const void *)to, sizeof *to), p->n);
}

static void take_question(struct server *s, struct packet *p, const struct sockaddr_in *from)
{
    struct question q;
    assert_true(p->n > 12);
    read_question(p, &q);
    count_question(s, &q);
    if (strcmp(q.name, "late.test") == 0 && s->nlate < 4) {
        s->late[s->nlate] = *p;
        s->late_from[s->nlate++] = *from;
    } else {
        send_udp(s, p, &q, from);
    }
}

static void on_udp(struct loop_io *io, uint32_t events)
{
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    struct packet p;
    ssize_t n;
    (void)events;
    while ((n = recvfrom(io->fd, p.b, sizeof p.b, MSG_DONTWAIT, (void *)&from, &len)) > 0) {
        p.n = (size_t)n;
        take_question(CONTAINER_OF(io, struct server, udp), &p, &from);
    }
}

static void answer_late(struct server *s)
{
    for (int i = 0; i < s->nlate; i++) {
        struct question q;
        read_question(&s->late[i], &q);
        send_udp(s, &s->late[i], &q, &s->late_from[i]);
    }
    s->nlate = 0;
}

struct client {
    struct loop_io io;
    struct server *s;
};

static void end_client(struct client *c)
{
    int fd = c->io.fd;
    loop_del(&loop, &c->io);
    close(fd);
    free(c);
}

/* c-ares asks more than one question over one connection, each in one piece. */
static void on_tcp(struct loop_io *io, uint32_t events)
{
    struct client *c = CONTAINER_OF(io, struct client, io);
    struct packet p;
    struct question q;
    unsigned char head[2];
    (void)events;
    if (recv(io->fd, head, 2, MSG_WAITALL) != 2) {
        end_client(c);
        return;
    }
    p.n = (size_t)head[0] << 8 | head[1];
    assert_true(p.n <= sizeof p.b);
    assert_int_equal(recv(io->fd, p.b, p.n, MSG_WAITALL), p.n);
    read_question(&p, &q);
    c->s->over_tcp++;
    assert_true(answer(&p, &q));
    head[0] = (unsigned char)(p.n >> 8);
    head[1] = (unsigned char)p.n;
    assert_int_equal(send(io->fd, head, 2, MSG_NOSIGNAL | MSG_MORE), 2);
    assert_int_equal(send(io->fd, p.b, p.n, MSG_NOSIGNAL), p.n);
}

static void on_tcp_connection(struct loop_io *io, uint32_t events)
{
    struct client *c = calloc(1, sizeof *c);
    (void)events;
    assert_non_null(c);
    c->s = CONTAINER_OF(io, struct server, tcp);
    c->io = (struct loop_io){.on_ready = on_tcp, .fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC)};
    assert_true(c->io.fd >= 0);
    assert_int_equal(loop_set(&loop, &c->io, EPOLLIN), 0);
}

static int socket_at(int type, const char *address, uint16_t at)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(at)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, type == SOCK_STREAM ? &on : &(int){0}, sizeof on),
        0);
    if (bind(fd, (const void *)&a, sizeof a) == 0 && (type == SOCK_DGRAM || listen(fd, 16) == 0))
        return fd;
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
    return -1;
}

static bool server_open(struct server *s, const char *address, uint16_t at)
{
    *s = (struct server){
        .udp = {.on_ready = on_udp, .fd = socket_at(SOCK_DGRAM, address, at)},
        .tcp = {.on_ready = on_tcp_connection, .fd = socket_at(SOCK_STREAM, address, at)}};
    if (s->udp.fd >= 0 && s->tcp.fd >= 0)
        return true;
    close(s->udp.fd);
    close(s->tcp.fd);
    return false;
}

static void server_join(struct server *s)
{
    assert_int_equal(loop_set(&loop, &s->udp, EPOLLIN), 0);
    assert_int_equal(loop_set(&loop, &s->tcp, EPOLLIN), 0);
}

static void server_close(struct server *s)
{
    close(s->udp.fd);
    close(s->tcp.fd);
}

static uint16_t free_port(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    int fd = socket_at(SOCK_DGRAM, "127.0.0.1", 0);
    assert_int_equal(getsockname(fd, (void *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

#endif
