/* sse.c - a chat by server-sent events: GET subscribes, POST says a line to the subscribers of all workers. */
#include <cserver/cserver.h>

#include <stdio.h>

#define LONGEST   4096
#define MOST_LATE (128 * 1024) /* bytes that may wait for who comes again */
#define EVENT(m)                                                                                   \
    "id: %llu\ndata: %.*s\n\n", (unsigned long long)(m)->number, (int)(m)->len,                    \
        (const char *)(m)->data

struct conf {
    int64_t ping, max_clients;
};

static cs_topic *news;
static cs_group *clients; /* the subscribers of this worker */
static uint64_t told;     /* number of the last one that these have got; 0: none yet */

/* In every worker, in the same order everywhere; and in the primary, which has no subscribers. */
static void on_news(const cs_msg *m)
{
    if (m->lost)
        cs_group_send(clients, "event: lost\ndata:\n\n");
    else
        cs_group_sendf(clients, EVENT(m));
    if (!m->lost)
        told = m->number;
}

/* Proxies close what is silent, and a client whose host has vanished is noticed when it takes nothing more. */
static void ping(void *arg)
{
    (void)arg;
    cs_group_send(clients, ": ping\n\n");
}

static int worker_start(cs_proc *p)
{
    const struct conf *c = cs_module_conf(p);
    clients = cs_group_new(p, .max_streams = c->max_clients, .on_slow = CS_SLOW_CLOSE);
    return clients && cs_every(p, c->ping, ping, NULL) ? CS_OK : CS_ERROR;
}

struct late {
    cs_stream *stream;
    uint64_t seen; /* number of the last one it has got */
    _Bool unsure;  /* that is not known */
};

static void tell_lost(struct late *l)
{
    cs_stream_send(l->stream, "event: lost\ndata:\n\n");
}

static int say_again(const cs_msg *m, void *arg)
{
    struct late *l = arg;
    char text[LONGEST + 64];
    const int n = snprintf(text, sizeof text, EVENT(m));
    if (!l->unsure && m->number != l->seen + 1)
        tell_lost(l);
    l->seen = m->number;
    l->unsure = 0;
    cs_stream_send(l->stream, ((cs_str){text, (size_t)n}));
    return cs_stream_queued(l->stream) >= MOST_LATE;
}

/* Who takes nothing must not have everything wait for him: the stream ends behind a part, and the client comes again for
 * the rest. */
static void catch_up(cs_stream *s, cs_str last)
{
    struct late l = {.stream = s};
    uint64_t seen;
    if (cs_u64(last, &seen) != CS_OK)
        seen = UINT64_MAX; /* there is none of that number */
    l.seen = seen;
    int rc = cs_replay(news, seen, say_again, &l);
    if (rc < 0 && l.seen == seen)
        tell_lost(&l);
    if (rc > 0)
        cs_stream_close(s);
}

/* A reload brings other workers, and the subscribers go there: with the number of the last line that they have got. */
static int on_save(cs_stream *s, void *to, size_t room)
{
    (void)s;
    (void)room; /* is enough */
    memcpy(to, &told, sizeof told);
    return sizeof told;
}

static int on_adopt(cs_stream *s, cs_str saved)
{
    struct late l = {.stream = s};
    uint64_t seen = 0;
    if (saved.n == sizeof seen)
        memcpy(&seen, saved.p, sizeof seen);
    l.seen = seen;
    l.unsure = !seen;
    int rc = cs_group_join(clients, s);
    if (rc != CS_OK)
        return rc;
    rc = cs_replay(news, CS_SINCE_SAVE, say_again, &l);
    if (rc < 0 && l.seen == seen)
        tell_lost(&l);
    if (rc > 0)
        cs_stream_close(s);
    return CS_OK;
}

static int subscribe(cs_req *r)
{
    cs_str last = cs_header(r, "Last-Event-ID");
    cs_set_header(r, "Content-Type", "text/event-stream");
    cs_set_header(r, "Cache-Control", "no-store");
    cs_stream *s = cs_detach(r, 200);
    int rc = s ? cs_group_join(clients, s) : 503;
    if (!rc && last.n)
        catch_up(s, last);
    return rc;
}

/* A line end in it would let a stranger write events of his own; a NUL would end the line. */
static int publish(cs_str line)
{
    if (!line.n || memchr(line.p, '\n', line.n) || memchr(line.p, '\r', line.n) ||
        memchr(line.p, '\0', line.n))
        return 400;
    int rc = cs_publish(news, CS_TO_WORKERS, line.p, line.n);
    return rc == CS_OK ? 204 : rc == CS_TOOBIG ? 413 : 503;
}

static int handler(cs_req *r)
{
    if (cs_is(r, "POST"))
        return publish(cs_body(r));
    if (cs_is(r, "GET") || cs_is(r, "HEAD"))
        return subscribe(r);
    cs_set_header(r, "Allow", "GET, HEAD, POST");
    return 405;
}

static const cs_topic_def topics[] = {{&news, "sse.news", on_news, LONGEST, 0}, {0}};

static const cs_directive directives[] = {
    CS_MSEC(struct conf, ping, "15s", 10, 3600000, 0, "How often subscribers get a comment."),
    CS_INT(struct conf, max_clients, "10000", 1, 1000000, 0,
           "Most subscribers of one worker; others get 503."),
    CS_END,
};

CS_MODULE(.name = "sse", .version = "1.0", .help = "A chat by server-sent events.",
          .directives = directives, .conf_size = sizeof(struct conf), .topics = topics,
          .worker_start = worker_start, .handler = handler, .on_save = on_save,
          .on_adopt = on_adopt);
