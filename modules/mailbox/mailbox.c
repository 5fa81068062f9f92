/* mailbox.c - a topic on the web: POST publishes to the clients of all workers, GET streams what is published (server-sent
 * events). A client that connects again says what it has seen last, and gets what it has missed, as long as that is in the
 * server's ring.
 *
 * An event's id is BIRTH-NUMBER: numbers begin again when the server is started anew. */
#include <cserver/cserver.h>

#include <stdio.h>
#include <time.h>

#define MAX 8192

struct conf {
    int64_t ping, retry, max_clients;
    cs_list publishers;
};

static cs_topic *topic;
static cs_zone *zone; /* when the server was born: uint64_t, ms */
static cs_group *clients;

/* A client that has come again. */
struct late {
    cs_stream *stream;
    uint64_t seen; /* number of the last event it has got */
    _Bool told;    /* that some are missing */
};

/* One event; each line of the data is a field of its own. Valid until the next call. */
static cs_str event_of(const cs_msg *m)
{
    static char text[64 + 7 * MAX];
    const uint64_t *born = cs_zone_of(zone);
    const char *data = m->data;
    char *to = text + sprintf(text, "id: %llx-%llu\ndata: ", (unsigned long long)*born,
                              (unsigned long long)m->number);
    for (size_t i = 0; i < m->len && i < MAX; i++)
        if (data[i] == '\r' || data[i] == '\n')
            to = data[i] == '\n' && i && data[i - 1] == '\r' ? to : stpcpy(to, "\ndata: ");
        else
            *to++ = data[i];
    to = stpcpy(to, "\n\n");
    return (cs_str){text, (size_t)(to - text)};
}

static void on_event(const cs_msg *m)
{
    if (!clients)
        return; /* the primary, where somebody has sent it to all */
    if (m->lost)
        cs_group_sendf(clients, "event: lost\ndata: %llu\n\n", (unsigned long long)m->lost);
    else
        cs_group_send(clients, event_of(m));
}

static int on_replayed(const cs_msg *m, void *arg)
{
    struct late *l = arg;
    if (m->number != l->seen + 1 && !l->told)
        cs_stream_send(l->stream, "event: lost\ndata: ?\n\n");
    l->told |= m->number != l->seen + 1;
    l->seen = m->number;
    return cs_stream_send(l->stream, event_of(m)) == CS_CLOSED;
}

static void replay(cs_req *r, cs_stream *s)
{
    const uint64_t *born = cs_zone_of(zone);
    unsigned long long birth = 0, seen = 0;
    cs_str id = cs_header(r, "Last-Event-ID");
    struct late late = {.stream = s};
    if (!id.n)
        return;
    if (sscanf(cs_format(r, "%.*s", CS_F(id)).p, "%llx-%llu", &birth, &seen) == 2 && birth == *born)
        late.seen = seen;
    else
        late.told = cs_stream_send(s, "event: lost\ndata: ?\n\n") != CS_CLOSED;
    if (cs_replay(topic, late.seen, on_replayed, &late) < 0 && !late.told)
        cs_stream_send(s, "event: lost\ndata: ?\n\n");
}

static int stream(cs_req *r, const struct conf *c)
{
    cs_set_header(r, "Content-Type", "text/event-stream");
    cs_set_header(r, "Cache-Control", "no-store");
    cs_stream *s = cs_detach(r, 200);
    int rc = s ? cs_group_join(clients, s) : 503;
    if (rc != CS_OK)
        return rc;
    cs_stream_send(s, cs_format(r, "retry: %lld\n\n", (long long)c->retry));
    replay(r, s);
    return CS_OK;
}

static int publish(cs_req *r, const struct conf *c)
{
    cs_str who = cs_user(r), body = cs_body(r);
    _Bool may = 0;
    for (size_t i = 0; i < c->publishers.n; i++)
        may |=
            who.n && who.n == c->publishers.v[i].n && !memcmp(who.p, c->publishers.v[i].p, who.n);
    if (!may)
        return 403;
    int rc = cs_publish(topic, CS_TO_WORKERS, body.p, body.n);
    return rc == CS_OK ? 204 : rc == CS_TOOBIG ? 413 : 503;
}

static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    if (cs_is(r, "GET"))
        return stream(r, c);
    if (cs_is(r, "POST") && c->publishers.n)
        return publish(r, c);
    cs_set_header(r, "Allow", c->publishers.n ? "GET, POST" : "GET");
    return 405;
}

static void ping(void *arg)
{
    (void)arg;
    cs_group_send(clients, ": ping\n\n");
}

static int worker_start(cs_proc *p)
{
    const struct conf *c = cs_module_conf(p);
    clients = cs_group_new(p, .max_streams = c->max_clients, .high_water = 2 << 20);
    return clients && cs_every(p, c->ping, ping, NULL) ? CS_OK : CS_ERROR;
}

static void be_born(void *p, size_t size)
{
    struct timespec now;
    (void)size;
    clock_gettime(CLOCK_REALTIME, &now);
    *(uint64_t *)p = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const cs_topic_def topics[] = {{&topic, "mailbox", on_event, MAX, 0}, {0}};
static const cs_zone_def zones[] = {{&zone, "born", sizeof(uint64_t), be_born, NULL}, {0}};
static const cs_directive directives[] = {
    CS_LIST(struct conf, publishers, NULL, 0, 100, CS_PER_ROUTE,
            "Users who may POST, as a module such as auth has found them. None: nobody may."),
    CS_MSEC(struct conf, retry, "3s", 100, 3600000, CS_PER_ROUTE,
            "How long a client should wait before it connects again."),
    CS_MSEC(struct conf, ping, "15s", 1000, 3600000, 0,
            "Time between comments that keep a silent connection alive."),
    CS_INT(struct conf, max_clients, "10000", 1, 1000000, 0, "Most streams of one worker."),
    CS_END,
};

CS_MODULE(.name = "mailbox", .version = "1.0",
          .help = "Publishes and streams messages (server-sent events).", .directives = directives,
          .conf_size = sizeof(struct conf), .zones = zones, .topics = topics,
          .worker_start = worker_start, .handler = handler);
